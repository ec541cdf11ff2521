"""The strict parser: what it refuses, what it keeps, and that nothing else ever comes out of it."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landline.model.errors import Invalid
from landline.web.strict_json import canonical, parse

pytestmark = pytest.mark.contract("TRU-11")

REFUSED = {
    "nothing": b"",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"-Infinity",
    "a float beyond all": b"1e999",
    "a key twice": b'{"a": 1, "b": {"c": 1, "c": 2}}',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate in a key": b'{"\\udc00": 1}',
    "a surrogate as bytes": b'"\xed\xa0\x80"',
    "NUL escaped": b'["a\\u0000b"]',
    "NUL raw": b'"a\x00b"',
    "a control character": b'"a\nb"',
    "Latin-1": b'"\xe9"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "an integer of 4,301 digits": b"1" * 4301,
    "depth 65": b"[" * 65 + b"]" * 65,
    "depth 65 in objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "50,001 values in a list": b"[" + b"1," * 49_999 + b"1]",
    "50,001 values in lists and objects": b"[" + b'[{"a":1,"b":[]}],' * 10_000 + b"1]",
    "no end": b"[" * 100_000,
    "only ends": b"]" * 100_000,
    "two values": b"{} {}",
    "a comment": b"/* */ {}",
    "a trailing comma": b"[1,]",
    "single quotes": b"{'a': 1}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_other_parsers_let_pass_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        parse(body)
    assert caught.value.code == "invalid_json"


KEPT = [
    (b"1" * 4300, int("1" * 4300)),
    (b"[" * 64 + b"]" * 64, None),
    (b'"' + b"[" * 1000 + b'"', "[" * 1000),
    (b"[" + b"1," * 49_997 + b"1]", [1] * 49_998),
    (b'["' + b"[," * 100_000 + b'"]', ["[," * 100_000]),
    (b'"\\"' + b"[" * 1000 + b'"', '"' + "[" * 1000),
    (b'"\\ud83d\\ude00"', "\U0001f600"),
    (b'"\\\\u0000"', "\\u0000"),
    (b'{"a": 1, "b": {"a": 2}}', {"a": 1, "b": {"a": 2}}),
    (b" [1.5e3, -0, true, null] ", [1500.0, 0, True, None]),
]


@pytest.mark.parametrize(("body", "value"), KEPT)
def test_what_is_allowed_arrives_as_it_was(body: bytes, value: Any) -> None:
    found = parse(body)
    assert value is None or found == value


@given(st.binary(max_size=400))
def test_random_bytes_are_a_value_or_invalid_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        parse(body)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(_JSON, st.booleans())
def test_good_json_comes_through_unchanged(value: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.dictionaries(st.text("abc", max_size=3), st.integers(), max_size=5))
def test_the_canonical_form_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 2_000_000,
        b'"' + b'\\"' * 1_000_000,
        b'{"' + b'a":{"' * 300_000,
        b"[" + b"1" * 2_000_000,
        b'["' + b"\\\\" * 1_000_000,
        (b"[" + b"9" * 4300 + b"],") * 400,
        b'"\\u' * 500_000,
    ],
    ids=["brackets", "quotes", "objects", "digits", "backslashes", "long integers", "escapes"],
)
def test_no_body_takes_long(body: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(Invalid):
        parse(body)
    assert time.perf_counter() - began < 1.0
