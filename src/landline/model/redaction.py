"""The one redactor: texts and data without what looks like a credential, or is one this process knows (TRU-17).

It works on whatever leaves for a log, an error body, an event's error or a terminal. What people and agents say to each
other never passes through it: that is theirs.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, cast
from urllib.parse import quote

__all__ = ["forget", "hide", "is_secret_name", "redacted", "redacted_data"]

LEAST_CHARS: Final = 8
"""A known value that is shorter is not hidden: `true`, `8000` and `local` stand in every other sentence."""

MOST_CHARS: Final = 64 * 1024
"""What is shown of one text at most: a traceback may carry a whole body, and looking at it takes a microsecond a character."""

TAIL_CHARS: Final = 4 * 1024
"""What is left out before the end of a longer text: a secret that the end cuts through is not recognized."""

CUT: Final = "…"

_NAMES: Final = (
    r"password|passwd|pwd|passphrase|secret[_-]?access[_-]?key|secret[_-]?key|secret|api[_-]?key|"
    r"access[_-]?key|private[_-]?key|signing[_-]?key|credentials?|token"
)
# Between a name and its value: `=`, `:`, or the comma of a pair, with quotes as Python, JSON and JSON inside JSON write them.
_TO: Final = r"""(?:\\*["']?\s*[:=]\s*(?:b(?=["']))?\\*["']?|["']\s*,\s*b?["'])"""
_SCHEME: Final = r"(?:bearer|basic|digest|token|negotiate|apikey)"
_SHAPES: Final = rf"""
    (?P<pem>-----BEGIN\ [A-Z0-9\ ]{{0,30}}PRIVATE\ KEY-----)(?!{CUT})(?:(?!-----END\ ).)*(?:-----END\ [A-Z0-9\ ]{{0,30}}KEY-----)?
    | (?P<key>\bll_[0-9a-f]{{4}})[0-9a-f]{{8,}}                  # our own keys, whole or long parts
    | (?P<sk>\bsk[-_][A-Za-z0-9_-]{{4}})[A-Za-z0-9_-]{{8,}}        # the form most model providers use
    | (?P<jwt>\beyJ[A-Za-z0-9_-]{{4}})[A-Za-z0-9_-]{{2,4000}}\.[A-Za-z0-9_.-]+
    | (?P<aws>\b(?:AKIA|ASIA))[A-Z0-9]{{12,}}\b
    | (?P<git>\b(?:gh[pousr]_|github_pat_|glpat-))[A-Za-z0-9_-]{{12,}}
    | (?P<chat>\bxox[a-z]-)[A-Za-z0-9-]{{8,}}
    | (?P<hub>\b(?:hf_|npm_|rk_live_|pk_live_))[A-Za-z0-9]{{12,}}
    | (?P<google>\bAIza[A-Za-z0-9_-]{{4}})[A-Za-z0-9_-]{{20,}}
    | (?P<cookie>\b(?:set-)?cookie{_TO})[^\r\n"']{{3,}}
    | (?P<header>\b(?:(?:proxy-)?authorization|x-[a-z0-9-]{{0,40}}(?:key|token|secret|auth)){_TO}(?:{_SCHEME}\s+)?)
      (?!{_SCHEME}\b)[^\s"',\\]{{3,}}
    | (?P<scheme>\b(?:bearer|basic)\s+)(?=[A-Za-z0-9._~+/=-]*[0-9=._~+/-])[A-Za-z0-9._~+/=-]{{8,}}
    | (?P<field>(?:{_NAMES}){_TO})
      (?!(?:Input|Field|Value|Extra)\ )                          # what a validator says of a setting of that name
      (?:(?<=")[^"\r\n]+|(?<=')[^'\r\n]+|[^\s"',}}&\\;)\]]{{3,}})
    | (?P<url>://[^/\s:@"']*:)[^\s/"']+(?=@)
    | (?P<dsn>://)[^/\s:@"']{{16,}}(?=@)
    """
_SECRET_NAME: Final = re.compile(
    rf"(?:.*[_.-])?(?:{_NAMES}|authorization|cookie|set-cookie|dsn|pat|auth)|x-.*(?:key|token|secret|auth)",
    re.IGNORECASE | re.DOTALL,
)
_MOST_DEPTH: Final = 20

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(values: Iterable[str]) -> None:
    """From now on cut these exact values out of everything that is redacted, whatever they look like.

    Kept for the life of the process, since what was a secret stays one. Values under eight characters are left out.
    """
    global _pattern  # noqa: PLW0603 - the process has one set of secrets, wherever they are shown
    before = len(_known)
    for value in values:
        for whole in (value.strip(), *value.strip().splitlines()):
            if len(whole) >= LEAST_CHARS:
                _known.update({whole, quote(whole, safe=""), json.dumps(whole)[1:-1], repr(whole)[1:-1]})
    if len(_known) != before:
        # The longest first, so that one that is part of another leaves no rest of it.
        _pattern = re.compile("|".join(map(re.escape, sorted(_known, key=len, reverse=True))))


def forget() -> None:
    """Forget every known value; for tests."""
    global _pattern  # noqa: PLW0603 - see `hide`
    _known.clear()
    _pattern = None


@cache
def _shapes() -> re.Pattern[str]:
    """Compile them for the first text: it takes a hundredth of a second, and a start has no text to redact."""
    return re.compile(_SHAPES, re.IGNORECASE | re.VERBOSE | re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Tell whether a field, header or variable of this name holds a credential."""
    return _SECRET_NAME.fullmatch(name) is not None


def redacted(text: str) -> str:
    """Return `text` with everything that looks like a credential replaced, keeping what tells which one it was."""
    whole, text = text, text[:MOST_CHARS]
    if _pattern is not None:
        text = _pattern.sub(CUT, text)
    safe = _shapes().sub(
        lambda found: f"{next(kept for kept in found.groups() if kept is not None)}{CUT}", text
    )
    return safe if len(whole) <= MOST_CHARS else f"{safe[:-TAIL_CHARS]}{CUT} ({len(whole)} characters)"


def redacted_data(value: Any, *, _depth: int = 0) -> Any:
    """Return `value` as data that may be logged: texts redacted, values under secret names cut, at every depth.

    Numbers, truth values and None stay; what is no plain data is shown as its redacted `repr`.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, bytes | bytearray):
        return redacted(bytes(value).decode("utf-8", "replace"))
    if _depth >= _MOST_DEPTH:
        return CUT
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value)
        return {_name(name): _entry(name, each, _depth + 1) for name, each in entries.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = cast("Iterable[Any]", value)
        return [redacted_data(item, _depth=_depth + 1) for item in items]
    try:
        return redacted(repr(value))
    except Exception:  # noqa: BLE001 - a stranger's `repr` may raise anything, and a log line must not fail
        return f"<{type(value).__name__}>"


def _name(name: Any) -> Any:
    return redacted(name) if isinstance(name, str) else redacted_data(name)


def _entry(name: Any, value: Any, depth: int) -> Any:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    if is_secret_name(text) and not (value is None or isinstance(value, bool | int | float)):
        return CUT
    return redacted_data(value, _depth=depth)
