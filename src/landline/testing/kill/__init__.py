"""What a kill test is made of: a server as a process that may be killed at any moment, and a ledger that survives it.

    server = ServedProcess("agents.py", data=folder / "data")
    await server.start()
    …
    server.kill()            # SIGKILL: nothing is said, nothing is written
    await server.start()     # same port, same data
    for call_id, starts in Ledger(path).starts().items(): …

The ledger is written by the agents' own tools, outside of Landline, so it knows what really ran and how often.
"""

from landline.testing.kill.ledger import Ledger, LedgerLine
from landline.testing.kill.process import NotReady, ServedProcess

__all__ = ["Ledger", "LedgerLine", "NotReady", "ServedProcess"]
