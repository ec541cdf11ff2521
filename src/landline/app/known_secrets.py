"""The secrets this process knows, told to the redactor as exact values: those of its settings, its environment and its
MCP servers (TRU-17).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from landline.model.redaction import hide, is_secret_name
from landline.ports.mcp import McpServer

__all__ = ["hide_environment", "hide_servers", "hide_settings"]


def hide_environment(environment: Mapping[str, str] | None = None) -> None:
    """Hide what variables of secret names hold (`OPENAI_API_KEY`, `PGPASSWORD`), and passwords inside URLs of any."""
    found = os.environ if environment is None else environment
    hide(
        each
        for name, value in found.items()
        for each in _secrets_of(name.replace("PGPASS", "PG_PASS"), value)
    )


def hide_settings(settings: BaseSettings) -> None:
    """Hide every secret setting, and passwords in URLs."""
    for name in type(settings).model_fields:
        value: Any = getattr(settings, name)
        if isinstance(value, SecretStr):
            hide([value.get_secret_value()])
        elif isinstance(value, str):
            hide(_secrets_of(name, value))


def hide_servers(servers: Iterable[McpServer]) -> None:
    """Hide the values of the headers and variables that MCP servers are given, and what their addresses carry.

    Headers made for each caller are known only once they are made; they are recognized by their shape.
    """
    for server in servers:
        if not isinstance(server, McpServer):  # pyright: ignore[reportUnnecessaryIsInstance] - an owner's mistake, told elsewhere
            continue
        if server.headers is not None and not callable(server.headers):
            hide(_words(server.headers.values()))
        hide(server.env.values())
        if server.url is not None:
            hide(_of_url(server.url))
            hide(value.partition("=")[2] for value in urlsplit(server.url).query.split("&"))


def _words(values: Iterable[str]) -> Iterator[str]:
    """Yield values, and the credential alone of those that name a scheme before it."""
    for value in values:
        yield value
        yield value.rpartition(" ")[2]


def _secrets_of(name: str, value: str) -> Iterator[str]:
    if is_secret_name(name) and not name.upper().endswith("_FILE"):
        yield value
    yield from _of_url(value)


def _of_url(value: str) -> Iterator[str]:
    if "://" not in value or "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:  # not a URL after all
        return
    if password:
        yield password
        yield unquote(password)
