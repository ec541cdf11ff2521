"""The HTTP clients under the models of served agents, fitted while the server is up (docs/streams.md)."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from landline.app.loading import Loaded
from landline.ports.adapter import AgentSpec

__all__ = ["fit_agents", "fitting_libraries"]

logger = logging.getLogger(__name__)


def fit_agents(loaded: Sequence[Loaded]) -> Callable[[], None]:
    """Have the models of agents merge what streams to them, and return what undoes it.

    A client is left as it is when an agent that reaches it does not want this. An adapter that makes a client by itself
    (`on_client`) tells of it when it does.
    """
    from landline.upstream.openai_sdk import quicken
    from landline.upstream.streams import clients_of, fit

    wanting = [item for item in loaded if item.spec is not None and item.spec.merge_deltas]
    against = [item for item in loaded if item.spec is not None and not item.spec.merge_deltas]
    kept = {id(client) for item in against for client in clients_of(*_roots(item.spec))}
    undo = ExitStack()

    def fit_made(made: Any) -> None:
        for client in clients_of(made):
            if id(client) not in kept:
                undo.callback(fit(client).undo)
        undo.callback(quicken(kept))

    for item in wanting:
        found = [client for client in clients_of(*_roots(item.spec)) if id(client) not in kept]
        fittings = [fit(client) for client in found]
        for fitting in fittings:
            undo.callback(fitting.undo)
        fitted = sum(fitting.fitted for fitting in fittings)
        logger.debug(
            "agent %s: %d of %d HTTP clients merge what models stream", item.name, fitted, len(found)
        )
    if wanting:
        undo.callback(quicken(kept))
    refused = {id(item.adapter) for item in against}
    for adapter in {id(item.adapter): item.adapter for item in wanting}.values():
        on_client = getattr(adapter, "on_client", None)
        if on_client is not None and id(adapter) not in refused:
            on_client(fit_made)
            undo.callback(on_client, None)
    return undo.close


def fitting_libraries() -> dict[str, bool]:
    """Return for each HTTP library under SDKs that is installed whether its clients can be fitted."""
    import httpx

    from landline.upstream.streams import fit

    libraries: dict[str, Any] = {"httpx": httpx}
    if find_spec("httpx2") is not None:
        import httpx2

        libraries["httpx2"] = httpx2
    found: dict[str, bool] = {}
    for name, library in libraries.items():
        fitting = fit(library.AsyncClient(verify=False, trust_env=False))
        found[name] = fitting.fitted
        fitting.undo()
    return found


def _roots(spec: AgentSpec | None) -> tuple[Any, ...]:
    return () if spec is None else (spec.agent, spec.make)
