"""What one event of a provider's stream is made of, told from its bytes: fixed parts, and the text between them.

A shape is learned from one event whose every field is known here. Another event has the same shape when its bytes are
the same but for the text (and for a number or a filler that may differ), so two events of one shape can become one by
joining their texts as they stand in JSON: nothing is decoded, nothing is encoded again.

Fields are known by their path; an event with any other field has no shape and passes untouched. The tables follow the
providers' references as of November 2026 and what servers that speak OpenAI's format add to it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto

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

_BY_TYPE: Mapping[bytes, Mapping[str, _Is]] = {
    b'"content_block_delta"': _ANTHROPIC,
    b'"response.output_text.delta"': _RESPONSES_TEXT,
    b'"response.reasoning_text.delta"': _RESPONSES_TEXT,
    b'"response.reasoning_summary_text.delta"': _RESPONSES_TEXT,
    b'"response.function_call_arguments.delta"': _RESPONSES_ARGUMENTS,
    b'"response.mcp_call_arguments.delta"': _RESPONSES_ARGUMENTS,
    b'"response.custom_tool_call_input.delta"': _RESPONSES_ARGUMENTS,
}

_FRAME = re.compile(rb"(?:event: ?([a-z_.]+)\r?\n)?data: ?(\{[^\r\n]*\})(?:\r\n\r\n|\n\n)")
_STRING = re.compile(rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]*)")
_TOKEN = re.compile(
    rb'[ \t]*(?:("[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*")'
    rb"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)|([{}\[\]:,]))"
)
_MARKS = re.compile(rb"[<|\[]|\\u00(?:3c|3C|5b|5B|7c|7C)|\xe2\x97\x81|\\u25[cC]1")
"""What tags such as `<think>` begin with. Some frameworks know a tag by a piece of text that is it and nothing more."""


_MARKS_WITHIN = (b"\x00<", b"\x00[", b"\x00|", b"\x00\xe2\x97\x81")


class Shape:
    """The fixed bytes of an event and what stands between them."""

    __slots__ = ("_between", "_end", "_start", "_steps", "_text", "_whole")

    def __init__(self, event: bytes, places: list[tuple[int, int, _Is]], text: int) -> None:
        at = 0
        steps: list[tuple[bytes, re.Pattern[bytes]]] = []
        for start, end, kind in places:
            steps.append((event[at:start], _NUMBER if kind is _Is.LAST else _STRING))
            at = end
        self._steps = tuple(steps)
        self._end = event[at:]
        self._text = text
        self._whole = places[text][2] is _Is.ARGUMENTS
        self._start = steps[0][0] if len(steps) == 1 else b""
        self._between = self._end + self._start

    def joined(self, data: bytes, events: int) -> bytes | None:
        """Return one event for all in `data`, or None where that is not quickly seen to be right.

        What stands between the end of one text and the beginning of the next is the same everywhere, so it is taken out.
        That finds all events, because no JSON has an empty line, and then all texts are looked at together.
        """
        if not self._start or not data.startswith(self._start) or not data.endswith(self._end):
            return None
        texts = data[len(self._start) : -len(self._end)].split(self._between)
        if len(texts) != events:
            return None
        said = b"\x00".join(texts)
        if b'"' in said or b"\\" in said or b"\n" in said or not _is_text(said):
            return None
        if not self._whole and (_MARKS.match(said) or any(mark in said for mark in _MARKS_WITHIN)):
            return None
        return b"".join((self._start, *texts, self._end)) if self._whole or _visible(texts[0]) else None

    def read(self, event: bytes) -> list[bytes] | None:
        """Return what stands between the fixed parts of an event of this shape, or None for one of another."""
        at, values = 0, list[bytes]()
        for fixed, pattern in self._steps:
            if not event.startswith(fixed, at):
                return None
            at += len(fixed)
            found = pattern.match(event, at)
            if found is None:
                return None
            values.append(found[0])
            at = found.end()
        return values if len(event) - at == len(self._end) and event.endswith(self._end) else None

    def joins(self, values: list[bytes]) -> bool:
        """Tell whether the text may stand in one event with other text: what may be a tag, or is not UTF-8, may not."""
        text = values[self._text]
        return _is_text(text) and (self._whole or _MARKS.match(text) is None)

    def begins(self, values: list[bytes]) -> bool:
        """Tell whether more text may follow in the same event: white space alone may not be followed by any.

        Frameworks drop white space before the first word of an answer when it comes by itself.
        """
        return self._whole or _visible(values[self._text])

    def write(self, runs: list[list[bytes]]) -> bytes:
        """Return one event for all of `runs`, which `read` gave: their texts in order, the last of all else."""
        said = list(runs[-1])
        said[self._text] = b"".join([values[self._text] for values in runs])
        pieces: list[bytes] = []
        for (fixed, _), value in zip(self._steps, said, strict=True):
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
    try:
        leaves = dict(_leaves(event, frame.start(2), frame.end(2)))
    except ValueError:
        return None
    kind = leaves.get("type")
    if kind is not None:
        known = _BY_TYPE.get(event[slice(*kind)])
    else:
        known = _GOOGLE if "candidates.0.content.parts.0.text" in leaves else _CHAT
    if known is None or not _names_its_type(event, frame, kind):
        return None
    return _shape(event, leaves, known)


def _names_its_type(event: bytes, frame: re.Match[bytes], kind: tuple[int, int] | None) -> bool:
    return frame[1] is None or (kind is not None and event[slice(*kind)] == b'"%b"' % frame[1])


def _shape(event: bytes, leaves: Mapping[str, tuple[int, int]], known: Mapping[str, _Is]) -> Shape | None:
    places: list[tuple[int, int, _Is]] = []
    texts: list[tuple[int, int, _Is]] = []
    for path, (start, end) in leaves.items():
        rule, value = known.get(path), event[start:end]
        empty = value in (b"null", b'""', b"[]")
        if rule is None or (rule is _Is.NOTHING and not empty):
            return None
        if rule in (_Is.SPEECH, _Is.ARGUMENTS) and not empty:
            if value[:1] != b'"':
                return None
            texts.append((start + 1, end - 1, rule))
        elif rule is _Is.FILLER:
            if value[:1] != b'"':
                return None
            places.append((start + 1, end - 1, rule))
        elif rule is _Is.LAST:
            if _NUMBER.fullmatch(value) is None:
                return None
            places.append((start, end, rule))
    # Of two texts in one event nobody knows which comes first once several are joined.
    if len(texts) != 1:
        return None
    places = sorted(places + texts)
    return Shape(event, places, places.index(texts[0]))


def _leaves(data: bytes, at: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the path of each value of a JSON object that holds no other, with its place.

    Raises:
        ValueError: It is not JSON, is too deep, or has a name twice.
    """
    tokens = _Tokens(data, at, end)
    yield from tokens.value("", 0)
    if not tokens.ended:
        raise ValueError("more than one value")


class _Tokens:
    """A reader of JSON that keeps places and no values."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    @property
    def ended(self) -> bool:
        return not self._data[self._at : self._end].strip(b" \t")

    def value(self, path: str, depth: int) -> Iterator[tuple[str, tuple[int, int]]]:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        token, start = self._next()
        if token not in (b"{", b"["):
            if token in (b"}", b"]", b":", b","):
                raise ValueError("no value")
            yield path, (start, self._at)
            return
        closing = b"}" if token == b"{" else b"]"
        if self._peek() == closing:
            self._next()
            yield path, (start, self._at)
            return
        names = set[str]()
        while True:
            name = str(len(names)) if closing == b"]" else self._name()
            if name in names:
                raise ValueError("a name twice")
            names.add(name)
            yield from self.value(f"{path}.{name}" if path else name, depth + 1)
            token, _ = self._next()
            if token == closing:
                return
            if token != b",":
                raise ValueError("no comma")

    def _name(self) -> str:
        token, _ = self._next()
        colon, _ = self._next()
        if token[:1] != b'"' or colon != b":" or b"\\" in token or b"." in token:
            raise ValueError("no name")
        return token[1:-1].decode()

    def _next(self) -> tuple[bytes, int]:
        found = _TOKEN.match(self._data, self._at, self._end)
        if found is None:
            raise ValueError("no JSON")
        self._at = found.end()
        place = found.lastindex or 0
        return found[place], found.start(place)

    def _peek(self) -> bytes:
        found = _TOKEN.match(self._data, self._at, self._end)
        return b"" if found is None else found[found.lastindex or 0]


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
