"""The fixture agents, as a file that a server is given."""

from landline.testing.fixture import agents

__all__ = ["agents"]
