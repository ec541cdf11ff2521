"""The compact form of a signed token, read strictly (RFC 7515, RFC 8725): before any key is looked for, and without one.

What two readers could read differently is refused: members that are there twice, base64 with padding or spare bits,
parts beyond the third. What would let a token choose its own key or its own rules is refused as well.
"""

import base64
import binascii
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

__all__ = [
    "KID",
    "MAX_TOKEN_BYTES",
    "BadToken",
    "Compact",
    "digest_of",
    "is_plain_type",
    "looks_like_token",
    "read_compact",
    "read_object",
]

MAX_TOKEN_BYTES: Final = 8192
KID: Final = "landline"
"""The name of the key that this server signs its own tokens with."""
_MAX_KID_CHARS: Final = 200
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_CHOOSES_ITS_RULES: Final = frozenset({"crit", "b64", "zip", "enc", "cty"})
_BRINGS_ITS_KEY: Final = frozenset({"jku", "jwk", "x5u", "x5c"})
_REFUSED: Final = _CHOOSES_ITS_RULES | _BRINGS_ITS_KEY


class BadToken(Exception):
    """The token does not hold; the reason is for tests and logs, never for who sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compact:
    """A token whose form is right and whose signature nobody has looked at."""

    algorithm: str
    kid: str | None
    kind: str
    signed: bytes
    payload: bytes
    signature: bytes


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token: what one is remembered by, never itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def looks_like_token(credential: str) -> bool:
    """Tell whether a credential has the three parts of a signed token."""
    return credential.count(".") == 2


def read_compact(token: str) -> Compact:
    """Return the parts of a token.

    Raises:
        BadToken: Its form is wrong, or its header asks for what is not given.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise BadToken("longer than 8 KB")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("not three parts")
    header = read_object(_decoded(parts[0]))
    if refused := _REFUSED.intersection(header):
        raise BadToken(f"the header has {min(refused)}")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        raise BadToken("no algorithm")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARS):
        raise BadToken("the kid is no name")
    if not isinstance(kind, str):
        raise BadToken("the type is no name")
    return Compact(
        algorithm=algorithm,
        kid=kid,
        kind=kind.lower(),
        signed=f"{parts[0]}.{parts[1]}".encode("ascii"),
        payload=_decoded(parts[1]),
        signature=_decoded(parts[2]),
    )


def is_plain_type(kind: str) -> bool:
    """Tell whether a token says that it is for signing in, and not one made for something else (RFC 8725, 3.11)."""
    return kind in _TYPES


def _decoded(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise BadToken("not base64url")
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise BadToken("not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode("ascii"):
        raise BadToken("spare bits")
    return data


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is. Raises BadToken, also for a member that is there twice or no number."""
    try:
        value = _decoder.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadToken("not JSON") from None
    if not isinstance(value, dict):
        raise BadToken("not an object")
    return cast("dict[str, Any]", value)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadToken("a member is there twice")
    return found


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadToken("a number without an end")
    return number


def _constant(name: str) -> NoReturn:
    raise BadToken(f"{name} is no number")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_constant=_constant)
