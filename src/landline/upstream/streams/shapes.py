"""What one event of a provider's stream is made of, told from its bytes: fixed parts, and the text between them.

A shape is learned from one event whose every field is known here. Another event has the same shape when its bytes are
the same but for the text (and for a number or a filler that may differ), so two events of one shape can become one by
joining their texts as they stand in JSON: nothing is decoded, nothing is encoded again.

Which values may differ follows from an event's fields alone. So it is worked out once for a kind of event, found again by
the event's skeleton (its JSON without the values), and a stream that is like an earlier one learns its shape quickly.

Fields are known by their path; an event with any other field has no shape and passes untouched. The tables follow the
providers' references as of November 2026 and what servers that speak OpenAI's format add to it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any, cast

__all__ = ["Shape", "learn"]

_LONGEST = 16 * 1024
"""Bytes of an event worth learning from; a delta is a few hundred."""
_DEEPEST = 12


class _Is(Enum):
    SAME = auto()
    """The same in both events: names, ids, indexes."""
    NOTHING = auto()
    """null, "" or [] only: with anything in it, it may mean something that joining would lose."""
    SPEECH = auto()
    """Text that a framework may look at piece by piece."""
    ARGUMENTS = auto()
    """Text that is read as a whole only."""
    LAST = auto()
    """A number that counts on; the last one holds."""
    FILLER = auto()
    """Random characters that hide the length of a token; the last one holds."""


_TEXTS = (_Is.SPEECH, _Is.ARGUMENTS)

_CHAT = {
    **dict.fromkeys(
        (
            "id",
            "object",
            "created",
            "model",
            "service_tier",
            "system_fingerprint",
            "provider",
            "choices.0.index",
        ),
        _Is.SAME,
    ),
    **dict.fromkeys(
        (
            "usage",
            "choices.0.logprobs",
            "choices.0.finish_reason",
            "choices.0.native_finish_reason",
            "choices.0.stop_reason",
            "choices.0.token_ids",
            "choices.0.delta.refusal",
            "choices.0.delta.role",
            "choices.0.delta.tool_calls",
            "choices.0.delta.function_call",
            "choices.0.delta.annotations",
            "choices.0.delta.audio",
            "choices.0.delta.tool_calls.0.id",
            "choices.0.delta.tool_calls.0.function.name",
        ),
        _Is.NOTHING,
    ),
    **dict.fromkeys(
        ("choices.0.delta.content", "choices.0.delta.reasoning_content", "choices.0.delta.reasoning"),
        _Is.SPEECH,
    ),
    "choices.0.delta.tool_calls.0.index": _Is.SAME,
    "choices.0.delta.tool_calls.0.type": _Is.SAME,
    "choices.0.delta.tool_calls.0.function.arguments": _Is.ARGUMENTS,
    "obfuscation": _Is.FILLER,
}

_RESPONSES = {
    **dict.fromkeys(("type", "item_id", "output_index", "content_index", "summary_index"), _Is.SAME),
    "sequence_number": _Is.LAST,
    "logprobs": _Is.NOTHING,
    "obfuscation": _Is.FILLER,
}
_RESPONSES_TEXT = _RESPONSES | {"delta": _Is.SPEECH}
_RESPONSES_ARGUMENTS = _RESPONSES | {"delta": _Is.ARGUMENTS}

_ANTHROPIC = {
    **dict.fromkeys(("type", "index", "delta.type"), _Is.SAME),
    "delta.text": _Is.SPEECH,
    "delta.thinking": _Is.SPEECH,
    "delta.partial_json": _Is.ARGUMENTS,
}

_GOOGLE = {
    **dict.fromkeys(
        (
            "candidates.0.content.role",
            "candidates.0.content.parts.0.thought",
            "candidates.0.index",
            "modelVersion",
            "responseId",
            "createTime",
            "usageMetadata.promptTokenCount",
            "usageMetadata.trafficType",
            "usageMetadata.serviceTier",
            "usageMetadata.promptTokensDetails.0.modality",
            "usageMetadata.promptTokensDetails.0.tokenCount",
            "usageMetadata.candidatesTokensDetails.0.modality",
        ),
        _Is.SAME,
    ),
    # Totals of the answer so far, in each event anew.
    **dict.fromkeys(
        (
            "usageMetadata.candidatesTokenCount",
            "usageMetadata.totalTokenCount",
            "usageMetadata.thoughtsTokenCount",
            "usageMetadata.candidatesTokensDetails.0.tokenCount",
        ),
        _Is.LAST,
    ),
    "candidates.0.content.parts.0.text": _Is.SPEECH,
}

_BY_TYPE: Mapping[str, Mapping[str, _Is]] = {
    "content_block_delta": _ANTHROPIC,
    "response.output_text.delta": _RESPONSES_TEXT,
    "response.reasoning_text.delta": _RESPONSES_TEXT,
    "response.reasoning_summary_text.delta": _RESPONSES_TEXT,
    "response.function_call_arguments.delta": _RESPONSES_ARGUMENTS,
    "response.mcp_call_arguments.delta": _RESPONSES_ARGUMENTS,
    "response.custom_tool_call_input.delta": _RESPONSES_ARGUMENTS,
}

_FRAME = re.compile(rb"(?:event: ?([a-z_.]+)\r?\n)?data: ?(\{[^\r\n]*\})(?:\r\n\r\n|\n\n)")
_TEXT = rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
_STRING = re.compile(_TEXT)
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]*)")
_ANY_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_VALUE = re.compile(rb':[ \t]*(?:"(%b)"|(%b))' % (_TEXT, _ANY_NUMBER))
_MARK = rb"(?:[<|\[]|\\u00(?:3[cC]|5[bB]|7[cC])|\xe2\x97\x81|\\u25[cC]1)"
"""What tags such as `<think>` begin with. Some frameworks know a tag by a piece of text that is it and nothing more."""
_MARKS = re.compile(_MARK)
_MARKED = re.compile(rb"(?:\A|\x00)" + _MARK)

_SKELETONS = 256
"""How many kinds of events a process remembers; a provider sends about ten."""
_NAMES_OF_TYPES = b"|".join(re.escape(name.encode()) for name in _BY_TYPE)
_SOME_TEXT = re.compile(rb':[ \t]*"(?!(?:%b)?")%b"' % (_NAMES_OF_TYPES, _TEXT))
_SOME_NUMBER = re.compile(rb":[ \t]*" + _ANY_NUMBER)


class Shape:
    """The fixed bytes of an event and what stands between them."""

    __slots__ = ("_between", "_end", "_rows", "_start", "_steps", "_text", "_whole")

    def __init__(self, event: bytes, places: list[tuple[int, int, _Is]], text: int) -> None:
        at = 0
        steps: list[tuple[bytes, int, re.Pattern[bytes]]] = []
        for start, end, kind in places:
            steps.append((event[at:start], start - at, _NUMBER if kind is _Is.LAST else _STRING))
            at = end
        self._steps = tuple(steps)
        self._end = event[at:]
        self._text = text
        self._whole = places[text][2] is _Is.ARGUMENTS
        self._start = steps[0][0]
        self._between = self._end + self._start
        self._rows = _rows(tuple([kind for _, _, kind in places]))

    def joined(self, data: bytes, events: int) -> bytes | None:
        """Return one event for all in `data`, or None where that is not quickly seen to be right.

        What stands between two values is the same everywhere, so it is taken out, and a byte that no JSON has put there.
        That finds all events, because no JSON has an empty line. One look at what is left tells whether all may be joined.
        """
        if not data.startswith(self._start) or not data.endswith(self._end):
            return None
        rows = data[len(self._start) : -len(self._end)].split(self._between)
        if len(rows) != events:
            return None
        said = b"\x00".join(rows)
        for fixed, _, _ in self._steps[1:]:
            said = said.replace(fixed, b"\x01")
        if self._rows.fullmatch(said) is None or not _is_text(said):
            return None
        values, width = said.replace(b"\x00", b"\x01").split(b"\x01"), len(self._steps)
        # With another number of values, the data itself held one of the two bytes.
        if len(values) != events * width or not (self._whole or _visible(values[self._text])):
            return None
        return self._written(values[self._text :: width], values[-width:])

    def read(self, events: list[bytes], first: int) -> list[list[bytes]]:
        """Return what stands between the fixed parts of each event from `first` on, up to the next of another shape."""
        rows: list[list[bytes]] = []
        for place in range(first, len(events)):
            event, at, row = events[place], 0, list[bytes]()
            for fixed, length, pattern in self._steps:
                found = pattern.match(event, at + length) if event.startswith(fixed, at) else None
                if found is None:
                    return rows
                row.append(found[0])
                at = found.end()
            if event[at:] != self._end:
                return rows
            rows.append(row)
        return rows

    def merged(self, rows: list[list[bytes]]) -> list[bytes]:
        """Return the events that say the same as those which `read` gave `rows` for: one, but for texts that stay alone.

        What may be a tag, or is not UTF-8, is joined with nothing. White space is joined to what precedes it only:
        frameworks drop it before the first word of an answer when it comes by itself.
        """
        texts = [row[self._text] for row in rows]
        said = b"\x00".join(texts)
        if _is_text(said) and (self._whole or (_MARKED.search(said) is None and _visible(texts[0]))):
            return [self._written(texts, rows[-1])]
        out: list[bytes] = []
        run: list[bytes] = []
        last: list[bytes] = []
        for text, row in zip(texts, rows, strict=True):
            if _is_text(text) and (self._whole or (_MARKS.match(text) is None and (run or _visible(text)))):
                run.append(text)
                last = row
                continue
            if run:
                out.append(self._written(run, last))
                run = []
            out.append(self._written([text], row))
        if run:
            out.append(self._written(run, last))
        return out

    def _written(self, texts: list[bytes], last: list[bytes]) -> bytes:
        """Return one event with all of `texts`, and all else as in `last`."""
        said = last.copy()
        said[self._text] = b"".join(texts)
        pieces: list[bytes] = []
        for (fixed, _, _), value in zip(self._steps, said, strict=True):
            pieces += fixed, value
        return b"".join((*pieces, self._end))


def learn(event: bytes) -> Shape | None:
    """Return the shape of an event, or None when anything in it is not known here.

    Args:
        event: With its field names and the empty line that ends it.
    """
    frame = _FRAME.fullmatch(event) if len(event) <= _LONGEST else None
    if frame is None:
        return None
    skeleton = _SOME_NUMBER.sub(b":0", _SOME_TEXT.sub(b':"0"', frame[2]))
    recipe = _recipe(skeleton, frame[1])
    if recipe is None:
        return None
    values = list(_VALUE.finditer(event, frame.start(2), frame.end(2)))
    places: list[tuple[int, int, _Is]] = []
    text = 0
    for place, kind in recipe:
        start, end = values[place].span(values[place].lastindex or 0)
        if kind is _Is.LAST and _NUMBER.fullmatch(event, start, end) is None:
            return None
        if kind in _TEXTS:
            text = len(places)
        places.append((start, end, kind))
    return Shape(event, places, text)


@lru_cache(_SKELETONS)
def _recipe(skeleton: bytes, name: bytes | None) -> tuple[tuple[int, _Is], ...] | None:
    """Return which values of an event may differ from its neighbour's, or None when anything in it is not known.

    A value is counted by where it stands among all strings and numbers that have a name, from 0. Those in an array have
    none, and no field that is known here is one of them.

    Args:
        skeleton: The event's JSON, with "0" for each string that is neither empty nor the name of a type known here, and
            with 0 for each number. All events of one skeleton have the same fields in the same order: where it is JSON,
            each "0" and 0 is a whole value, and any other string or number in its place is JSON just as well.
        name: What the event's frame calls it.
    """
    try:
        fields = json.loads(
            skeleton.decode(), object_pairs_hook=_distinct, parse_float=_no_json, parse_constant=_no_json
        )
        leaves = list(_leaves("", fields, 0))
    except (ValueError, RecursionError):
        return None
    kind = fields.get("type")
    if name is not None and (not isinstance(kind, str) or kind.encode() != name):
        return None
    if "type" in fields:
        known = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    else:
        known = _GOOGLE if any(path == "candidates.0.content.parts.0.text" for path, _ in leaves) else _CHAT
    return None if known is None else _picked(leaves, known)


def _picked(leaves: list[tuple[str, Any]], known: Mapping[str, _Is]) -> tuple[tuple[int, _Is], ...] | None:
    picked: list[tuple[int, _Is]] = []
    count = -1
    for path, value in leaves:
        rule = known.get(path)
        empty = value in (None, "", [])
        text, number = isinstance(value, str), type(value) is int
        count += text or number
        if rule is None or (rule is _Is.NOTHING and not empty):
            return None
        if rule in (_Is.FILLER, _Is.LAST) or (rule in _TEXTS and not empty):
            if not (number if rule is _Is.LAST else text):
                return None
            picked.append((count, rule))
    # Of two texts in one event nobody knows which comes first once several are joined.
    texts = [rule for _, rule in picked if rule in _TEXTS]
    return tuple(picked) if len(texts) == 1 else None


def _leaves(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the path of each value that holds no other, in their order.

    Raises:
        ValueError: It is too deep.
    """
    if depth > _DEEPEST:
        raise ValueError("too deep")
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        inner = [(str(place), item) for place, item in enumerate(cast("list[Any]", value))]
    if not inner:
        yield path, value
        return
    for name, item in inner:
        yield from _leaves(f"{path}.{name}" if depth else name, item, depth + 1)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs) or any(not name or "." in name for name in fields):
        raise ValueError("a name twice, or one that a path cannot have")
    return fields


def _no_json(text: str) -> None:
    raise ValueError(f"no number of an event: {text}")


@lru_cache(64)
def _rows(kinds: tuple[_Is, ...]) -> re.Pattern[bytes]:
    """Return what matches values of these kinds with 01 between two, any number of times with 00 between."""
    of = {_Is.SPEECH: b"(?!%b)%b" % (_MARK, _TEXT), _Is.LAST: _NUMBER.pattern}
    row = rb"\x01".join([of.get(kind, _TEXT) for kind in kinds])
    return re.compile(rb"%b(?:\x00%b)*" % (row, row))


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _visible(text: bytes) -> bool:
    if b"\\" in text:
        return not str(json.loads(b'"%b"' % text)).isspace()
    return bool(text) and not text.decode().isspace()
