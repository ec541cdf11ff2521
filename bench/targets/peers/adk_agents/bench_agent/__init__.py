"""What `adk api_server` finds: the module with `root_agent`."""

from . import agent as agent  # noqa: TID252 - ADK loads this folder as a package of its own, under no fixed name
