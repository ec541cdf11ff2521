"""One agent of each framework over its real OpenAI client, and what a tutorial does with it: wait for it, or stream it.

Every module has `agent`, `answer(text, thread)` and `deltas(text)`, and imports its own framework only.
"""

__all__ = ["PATIENCE_S"]

PATIENCE_S = 600.0
"""For the clients: by default they give up a connection after five seconds, which an overloaded server does not make."""
