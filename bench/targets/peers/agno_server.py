"""Agno's AgentOS with its SQLite store, as its documentation builds it.

python -m bench.targets.peers.agno_server PORT DATABASE
"""

import os
import sys

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import AsyncSqliteDb
from agno.models.openai.like import OpenAILike
from agno.os import AgentOS
from openai import AsyncOpenAI

from bench.targets.agents import PATIENCE_S

__all__: list[str] = []

port, database = int(sys.argv[1]), sys.argv[2]
url = os.environ["BENCH_UPSTREAM"]
agent = Agent(
    id="bench",
    # The client's own pool: this framework's default one would queue streams from the 101st on.
    model=OpenAILike(
        id="bench",
        base_url=url,
        api_key="bench",
        async_client=AsyncOpenAI(base_url=url, api_key="bench", max_retries=0, timeout=PATIENCE_S),
    ),
    instructions="Say what you are told to say.",
    db=AsyncSqliteDb(db_file=database),
    telemetry=False,
)
uvicorn.run(
    AgentOS(agents=[agent], telemetry=False).get_app(),
    host="127.0.0.1",
    port=port,
    log_level="warning",
    access_log=False,
)
