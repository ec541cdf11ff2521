"""What the server has seen and done, for tests to look at from another thread.

The server's thread writes, any thread reads; one condition guards it all. Nothing is written per token but a
plain counter, so that keeping the journal costs a benchmark nothing.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from landline.testing.upstream.request import Api, Request, last_user_text, turns_in
from landline.testing.upstream.responses import index_of

__all__ = ["Exchange", "Journal", "Outcome"]

Outcome = Literal["open", "completed", "faulted", "disconnected"]


@dataclass(kw_only=True)
class Exchange:
    """A request and how its response is going. `disconnected` means: the client left before the end."""

    request: Request
    outcome: Outcome = field(default="open")
    tokens_sent: int = field(default=0)


class Journal:
    """The last `keep` exchanges, in order of arrival."""

    def __init__(self, keep: int) -> None:
        self.changed = threading.Condition()
        self._keep = keep
        self._count = 0
        self._open = 0
        self._exchanges: OrderedDict[int, Exchange] = OrderedDict()
        self._attempts: OrderedDict[bytes, int] = OrderedDict()

    def begin(self, api: Api, headers: Mapping[str, str], raw: bytes, body: Mapping[str, Any]) -> Exchange:
        """Take a request in: give it its place, its turn and its attempt."""
        with self.changed:
            request = Request(
                index=self._count,
                api=api,
                turn=turns_in(api, body) + self._turns_before(body),
                attempt=self._attempt(api.encode() + raw),
                headers=headers,
                body=body,
                text=last_user_text(api, body),
            )
            exchange = Exchange(request=request)
            self._exchanges[self._count] = exchange
            self._count += 1
            self._open += 1
            while len(self._exchanges) > self._keep:
                self._exchanges.popitem(last=False)
            self.changed.notify_all()
            return exchange

    def end(self, exchange: Exchange, outcome: Outcome) -> None:
        """Close an exchange; the first outcome stands."""
        with self.changed:
            if exchange.outcome == "open":
                exchange.outcome = outcome
                self._open -= 1
                self.changed.notify_all()

    @property
    def open(self) -> int:
        """How many exchanges have not ended."""
        with self.changed:
            return self._open

    @property
    def requests(self) -> list[Request]:
        """The remembered requests, in order of arrival."""
        with self.changed:
            return [exchange.request for exchange in self._exchanges.values()]

    def exchange(self, index: int) -> Exchange | None:
        """The exchange of that place, if it came and is remembered."""
        with self.changed:
            return self._exchanges.get(index)

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Block until the condition holds; False when it does not within the time."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def _attempt(self, raw: bytes) -> int:
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        attempt = self._attempts.pop(digest, 0)
        self._attempts[digest] = attempt + 1
        if len(self._attempts) > self._keep:
            self._attempts.popitem(last=False)
        return attempt

    def _turns_before(self, body: Mapping[str, Any]) -> int:
        # A client that lets the server keep the history sends only what is new.
        previous = body.get("previous_response_id")
        index = index_of(previous) if isinstance(previous, str) else None
        earlier = None if index is None else self._exchanges.get(index)
        return earlier.request.turn + 1 if earlier else 0
