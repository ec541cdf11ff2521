"""The one JSON parser of every door: what RFC 8259 leaves open is refused, so that no later step can trip over it (TRU-11).

The standard library does the parsing, with hooks. What it cannot refuse by itself is checked before (depth, byte order
mark) or after it (lone surrogates, NUL). Each step is linear in the size of the body.
"""

import json
import math
import re
from typing import Any, NoReturn

import msgspec

from landline.model.errors import Invalid

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "MAX_VALUES", "canonical", "parse"]

MAX_DEPTH = 64
MAX_DIGITS = 4300
"""As CPython's own limit for turning text into integers, which an embedding program may have switched off."""

MAX_VALUES = 50_000
"""Values of one body, in all its objects and lists together: those of a megabyte would take up to 25 as objects."""

_BOM = b"\xef\xbb\xbf"
# Possessive, and with an optional closing quote: an unterminated string is eaten once, not once per quote in it.
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STRINGS_AND_VALUES = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[{]', re.DOTALL)


def parse(data: bytes) -> Any:
    """Return the value that `data` holds.

    Refused: anything but UTF-8 without a byte order mark, NaN and the infinities (also as 1e999), duplicate keys, lone
    surrogates and NUL in strings, nesting deeper than 64, integers of more than 4,300 digits, more than 50,000 values.

    Raises:
        Invalid: With code `invalid_json`; never anything else.
    """
    if data.startswith(_BOM):
        _refuse("it starts with a byte order mark")
    _check_shape(data)
    try:
        value = _decoder.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg} at character {error.pos}")
    except (ValueError, RecursionError):
        _refuse("it cannot be read")
    if b"\\u" in data:
        _check_strings(value)
    return value


def canonical(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys and no spaces, so that equal bodies have equal bytes (RUN-7)."""
    return msgspec.json.encode(value, order="sorted")


def _refuse(why: str) -> NoReturn:
    raise Invalid(f"The body is not acceptable JSON: {why}.", code="invalid_json")


def _check_shape(data: bytes) -> None:
    """Count before anything is built: how deep it is and, since each value but a first comes after a comma, how much."""
    brackets = data.count(b"[") + data.count(b"{")
    if brackets + data.count(b",") >= MAX_VALUES:
        values = 1
        for found in _STRINGS_AND_VALUES.finditer(data):
            values += found[0] in b",[{"
            if values > MAX_VALUES:
                _refuse(f"it holds more than {MAX_VALUES} values")
    if brackets <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRINGS_AND_BRACKETS.finditer(data):
        mark = found[0]
        if mark in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(f"it is nested deeper than {MAX_DEPTH}")
        elif mark in b"]}":
            depth -= 1


def _check_strings(value: Any) -> None:
    """Only an escape can bring a surrogate or a NUL: raw ones never pass the UTF-8 and the JSON decoder."""
    pending = [value]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            pending.extend(here.keys())  # pyright: ignore[reportUnknownArgumentType] - JSON is anything
            pending.extend(here.values())  # pyright: ignore[reportUnknownArgumentType] - JSON is anything
        elif isinstance(here, list):
            pending.extend(here)  # pyright: ignore[reportUnknownArgumentType] - JSON is anything
        elif isinstance(here, str):
            if "\0" in here:
                _refuse("a string holds NUL")
            try:
                here.encode("utf-8")
            except UnicodeEncodeError:
                _refuse("a string holds half of a surrogate pair")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("an object has the same key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse(f"an integer has more than {MAX_DIGITS} digits")
    return int(digits)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse("a number is too large")
    return number


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a JSON number")


_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
