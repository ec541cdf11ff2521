"""Fitting the wire into a client of httpx or httpx2 that somebody else made, and taking it out again.

A client's transports hold a pool that opens connections by a network backend. A pool of the plain case is put inside one of
ours (docs/adr/0014), and in each the backend is put inside one that merges (docs/adr/0013). Both are public where they are made
and private where they are found (`_pool`, `_network_backend`); a test holds the names. What is built otherwise, such as a
transport of a test, is left as it is.
"""

import logging
from collections.abc import Iterator
from typing import Any

from landline.upstream.streams.network import MergingBackend
from landline.upstream.streams.pool import Pool, is_plain

__all__ = ["Fitting", "fit"]

logger = logging.getLogger(__name__)

_INSIDE = ("wrapped", "_wrapped", "transport", "_transport", "_inner")
"""Where transports keep the one they wrap, such as Pydantic AI's that tries again."""
_DEEPEST = 5


class Fitting:
    """What `fit` did to one client. `fitted` is False when there was nothing to fit."""

    def __init__(self, fitted: list[Any]) -> None:
        self._transports = fitted
        self.fitted = bool(fitted)

    def undo(self) -> None:
        """Give the client its own pool back once nobody else wants it fitted. Responses that are being read go on to their end."""
        transports, self._transports = self._transports, []
        for transport in transports:
            pool = transport._pool
            inner = pool.inner if isinstance(pool, Pool) else pool
            backend = inner._network_backend
            if isinstance(backend, MergingBackend) and backend.release():
                inner._network_backend = backend.inner
                if isinstance(pool, Pool):
                    transport._pool = inner
                    pool.retire()


def fit(client: Any) -> Fitting:
    """Have an asynchronous client of httpx or httpx2 merge what providers stream, from its next request on.

    Fitting a client twice changes nothing; it is undone when each fitting is. Nothing that the client returns changes but
    the number of events in a stream: see `landline.upstream.http_client`.
    """
    fitted: list[Any] = []
    pools: list[Any] = []
    mounts: dict[Any, Any] = getattr(client, "_mounts", {})
    for transport in map(_pooling, [getattr(client, "_transport", None), *mounts.values()]):
        if transport is None or any(transport._pool is pool for pool in pools):
            continue
        pool = transport._pool
        inner = pool.inner if isinstance(pool, Pool) else pool
        backend = inner._network_backend
        if isinstance(backend, MergingBackend):
            backend.claim()
        else:
            plain = is_plain(pool)
            inner._network_backend = MergingBackend(backend)
            if plain:
                transport._pool = Pool(pool)
        pools.append(transport._pool)
        fitted.append(transport)
    if not fitted:
        logger.debug("left as it is: no connection pool in %s", type(client).__qualname__)
    return Fitting(fitted)


def _pooling(transport: Any) -> Any:
    """Return the layer of a transport that holds a pool."""
    for layer in _layers(transport):
        pool = getattr(layer, "_pool", None)
        backend = getattr(pool.inner if isinstance(pool, Pool) else pool, "_network_backend", None)
        if callable(getattr(backend, "connect_tcp", None)):
            return layer
    return None


def _layers(transport: Any) -> Iterator[Any]:
    """Yield a transport and those inside it, the outermost first."""
    for _ in range(_DEEPEST):
        if transport is None:
            return
        yield transport
        own: dict[str, Any] = getattr(transport, "__dict__", {})
        transport = next((own[name] for name in _INSIDE if name in own), None)
