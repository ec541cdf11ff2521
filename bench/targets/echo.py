"""An agent without a framework, so that nothing but the server is measured."""

from typing import Any

import landline

__all__ = ["agent"]


async def _echo(run: Any) -> str:
    """Say it again."""
    return str(run.input)


agent = landline.agent(_echo, name="echo")
