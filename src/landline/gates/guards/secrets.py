"""The guard `secrets`: keys and tokens that open something, known by their shape."""

import re

from landline.gates.guards.folded import fold
from landline.gates.guards.words import EVERYWHERE
from landline.ports.guards import Action, Span, Stage, Verdict

__all__ = ["SecretGuard"]

_KEY_CHARS = 16_000
"""The longest private key that is looked for: an RSA key of 16,384 bits has 12,700 characters."""

_SHAPES = {
    "aws_key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])",
    "github_token": r"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    "api_key": r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{20,255}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,99})",
    "landline_key": r"(?<![A-Za-z0-9])ll_[A-Za-z0-9_-]{20,120}",
    "google_key": r"AIza[0-9A-Za-z_-]{35}",
    "slack_token": r"xox[abeprs]-[A-Za-z0-9-]{10,255}",
    "jwt": r"eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000}",
    "url_password": r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/@]{3,200}@",
    "private_key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
    rf"(?:[\s\S]{{0,{_KEY_CHARS}}}?-----END [A-Z ]{{0,40}}PRIVATE KEY-----|[\s\S]{{0,{_KEY_CHARS}}})",
}
_PATTERNS = {label: re.compile(shape) for label, shape in _SHAPES.items()}

_TAIL = 6_100
"""Characters without a space that an unfinished token may have: what the longest above, a JWT, can match."""

_BEGIN, _HEADER = "-----BEGIN", 70
_ENDED = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")


class SecretGuard:
    """Finds keys and tokens."""

    name = "secrets"
    stages = EVERYWHERE
    whole = False

    def __init__(self, action: Action = "redact") -> None:
        self._action: Action = action

    def settled(self, text: str, start: int) -> int:
        """Return where the last run without a space begins, or the private key that has not ended."""
        at = len(text)
        while at > start and len(text) - at < _TAIL and not text[at - 1].isspace():
            at -= 1
        begun = text.rfind(_BEGIN, start)
        if begun >= 0 and not _ENDED.search(text, begun):
            key = _PATTERNS["private_key"].match(text, begun)
            if len(text) - begun < (_HEADER if key is None else _KEY_CHARS):
                at = min(at, begun)
        return max(start, at)

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        folded = fold(text)
        first = folded.at(start)
        spans = [
            Span(start=folded.start(found.start()), end=folded.end(found.end()), label=label)
            for label, pattern in _PATTERNS.items()
            for found in pattern.finditer(folded.text, first)
        ]
        return Verdict(action=self._action, spans=spans) if spans else Verdict()
