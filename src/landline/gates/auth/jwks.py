"""The public keys of an issuer, read from its address and kept for minutes (TRU-2).

A key that is not among them is looked for once more, in case the issuer changed its keys; how often that may happen is
bounded, so that tokens with made-up names cannot make this server call another.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
from jwt import InvalidKeyError, PyJWK, PyJWKError

from landline.gates.auth.compact import BadToken, read_object
from landline.gates.auth.jwt import SYMMETRIC
from landline.model.errors import LandlineError, Unavailable
from landline.ports.clock import Clock
from landline.ports.egress import Egress

__all__ = ["Jwks"]

FRESH_S: Final = 240.0
"""From this age on the next token brings a new reading."""
STALE_S: Final = 300.0
"""The oldest reading that is used (TRU-2)."""
PAUSE_S: Final = 10.0
"""Between two attempts, whatever asks for them."""
FETCH_S: Final = 5.0
_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
_FAMILY: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVE: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
"""The library takes any curve for any of them (RFC 7518, 3.4 does not)."""


class Jwks:
    """The keys at `url`, which may be private where the owner named it.

    Requests wait for a reading only when nothing is there to go by; one reading serves all who wait.
    """

    def __init__(
        self, url: str, egress: Egress, clock: Clock, *, trusted: Sequence[str] | None = None
    ) -> None:
        """`trusted` are the origins that the owner named, where `url` itself is not the owner's word."""
        parts = urlsplit(url)
        self._url = url
        self._trusted = [f"{parts.scheme}://{parts.netloc}"] if trusted is None else trusted
        self._egress, self._clock = egress, clock
        self._found: list[dict[str, Any]] = []
        self._ready: dict[tuple[str, str | None], Any] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, kid: str | None) -> Any:
        """Return the issuer's key of that name; see `KeySource`."""
        now = self._clock.steady()
        if now - self._read_at >= FRESH_S:
            await self._read_again()
        if self._clock.steady() - self._read_at >= STALE_S:
            wait_s = max(1, round(self._tried_at + PAUSE_S - self._clock.steady()))
            raise Unavailable(
                "The keys that tokens are checked with cannot be had now.",
                code="identity_unavailable",
                retry_after_s=wait_s,
            )
        found = self._key(algorithm, kid)
        if found is None:
            await self._read_again()
            found = self._key(algorithm, kid)
        if found is None:
            raise BadToken("no such key")
        return found

    async def _read_again(self) -> None:
        """Read the keys, unless that was tried a moment ago; never raises for what the other server does."""
        if self._reading is None:
            if self._clock.steady() - self._tried_at < PAUSE_S:
                return
            self._tried_at = self._clock.steady()
            # A task of its own: whoever asked first may leave while others wait for the same reading.
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            async with (
                asyncio.timeout(FETCH_S),
                self._egress.client(trusted=self._trusted, max_bytes=_MAX_BYTES) as client,
            ):
                answer = await client.get(self._url, headers={"accept": "application/json"})
            if answer.status_code == 200:
                self._take(read_object(answer.content))
        except (httpx.HTTPError, TimeoutError, OSError, LandlineError, BadToken):
            pass  # What is known stays until it is too old, and then tokens are refused with 503.
        finally:
            self._reading = None

    def _take(self, document: dict[str, Any]) -> None:
        keys = document.get("keys")
        if not isinstance(keys, list) or not keys:
            return  # A set without keys would refuse everybody: it is taken for a fault of the issuer.
        listed = cast("list[Any]", keys)[:_MAX_KEYS]
        self._found = [cast("dict[str, Any]", key) for key in listed if isinstance(key, dict)]
        self._ready.clear()
        self._read_at = self._clock.steady()

    def _key(self, algorithm: str, kid: str | None) -> Any:
        if (algorithm, kid) in self._ready:
            return self._ready[algorithm, kid]
        fitting = [key for key in self._found if _fits(key, algorithm, kid)]
        # Without a name only a single key can be meant; two of one name would be a choice for whoever signs.
        if len(fitting) != 1:
            return None
        try:
            made = PyJWK(fitting[0], algorithm)
        except (InvalidKeyError, PyJWKError, TypeError, ValueError):
            return None
        if made.Algorithm.check_key_length(made.key):
            return None
        self._ready[algorithm, kid] = made.key
        return made.key


def _fits(key: dict[str, Any], algorithm: str, kid: str | None) -> bool:
    """Tell whether a listed key may verify this algorithm: of its kind, for signatures, and never a shared secret."""
    if algorithm in SYMMETRIC or key.get("kty") != _FAMILY.get(algorithm[:2]) or "d" in key:
        return False
    if algorithm in _CURVE and key.get("crv") != _CURVE[algorithm]:
        return False
    operations = key.get("key_ops")
    return (
        (kid is None or key.get("kid") == kid)
        and key.get("use", "sig") == "sig"
        and (not isinstance(operations, list) or "verify" in operations)
        and key.get("alg", algorithm) == algorithm
    )
