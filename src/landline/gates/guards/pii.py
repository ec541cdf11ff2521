"""The guard `pii`: what tells who somebody is. E-mail addresses, telephone and card numbers, IBANs, US social security
numbers and IP addresses; numbers that carry a check are believed only when it holds.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from landline.gates.guards.folded import fold
from landline.gates.guards.words import EVERYWHERE
from landline.ports.guards import Action, Span, Stage, Verdict

__all__ = ["PiiGuard"]

_EMAIL = re.compile(r"[\w.%+-]{1,64}@[\w.-]{1,253}\.[^\W\d_]{2,24}")
_SSN = re.compile(r"(?<!\d)(?!000|666|9\d\d)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?!\d)")
_PHONE = re.compile(r"(?<![\w+])(?:\+|\(\+?)?\d[\d ().\-/]{5,22}\d(?![\w])")
_NANP = re.compile(r"\(?[2-9]\d{2}\)?[-. ]{1,2}\d{3}[-. ]\d{4}")
_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,60}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}")
_IP4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d])")
_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?::\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])")

_IBAN_LENGTHS = {
    pair[:2]: int(pair[3:])
    for pair in re.findall(
        r"[A-Z]{2}:\d\d",
        "AL:28 AD:24 AT:20 AZ:28 BH:22 BY:28 BE:16 BA:20 BR:29 BG:22 CR:22 HR:21 CY:28 CZ:24 DK:18 DO:28 EE:20 EG:29 "
        "FO:18 FI:18 FR:27 GE:22 DE:22 GI:23 GR:27 GL:18 GT:28 HU:28 IS:26 IQ:23 IE:22 IL:23 IT:27 JO:30 KZ:20 XK:20 "
        "KW:30 LV:21 LB:28 LY:25 LI:21 LT:20 LU:20 MT:31 MR:27 MU:30 MD:24 MC:27 ME:22 NL:18 MK:19 NO:15 PK:24 PS:29 "
        "PL:28 PT:25 QA:29 RO:24 LC:32 SM:27 ST:25 SA:24 RS:22 SC:31 SK:24 SI:19 ES:24 SE:24 CH:21 TL:23 TN:24 TR:26 "
        "UA:29 AE:23 GB:22 VA:22 VG:24",
    )
}
"""Characters of an IBAN by country: the SWIFT registry of IBAN formats."""

_WORD_TAIL, _NUMBER_TAIL, _IBAN_TAIL = 345, 130, 80
"""Characters that an unfinished address, number or IBAN may have: the longest that the expressions above can match."""


class PiiGuard:
    """Finds what tells who somebody is."""

    name = "pii"
    stages = EVERYWHERE
    whole = False

    def __init__(self, action: Action = "redact") -> None:
        self._action: Action = action

    def settled(self, text: str, start: int) -> int:
        """Return where the last word, number or IBAN begins that may not be at its end."""
        folded = fold(text)
        shown = folded.text
        free = min(
            _tail(shown, _WORD_TAIL, _of_address),
            _number_tail(shown),
            *(at for at, end in _ibans(shown) if end is None),
            len(shown),
        )
        return max(start, min(folded.start(free), len(text)))

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        folded = fold(text)
        spans = [
            Span(start=folded.start(at), end=folded.end(end), label=label)
            for label, at, end in _found(folded.text, folded.at(start))
        ]
        return Verdict(action=self._action, spans=spans) if spans else Verdict()


def _of_address(char: str) -> bool:
    return char.isalnum() or char in "_.%+-@:"


def _of_number(char: str) -> bool:
    return char.isdigit() or char in " ().-/+"


def _tail(text: str, most: int, belongs: Callable[[str], bool]) -> int:
    at = len(text)
    while at and len(text) - at < most and belongs(text[at - 1]):
        at -= 1
    return at


def _number_tail(text: str) -> int:
    at = _tail(text, _NUMBER_TAIL, _of_number)
    while at < len(text) and not (text[at].isdigit() or text[at] in "+("):
        at += 1
    return at


def _found(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    for label, pattern, holds in (
        ("email", _EMAIL, None),
        ("ssn", _SSN, None),
        ("ip", _IP4, _is_ip),
        ("ip", _IP6, _is_ip),
        ("phone", _PHONE, _is_phone),
    ):
        for found in pattern.finditer(text, start):
            if holds is None or holds(found[0]):
                yield label, found.start(), found.end()
    for at, end in _ibans(text, start):
        if end is not None:
            yield "iban", at, end
    yield from _cards(text, start)


def _is_ip(shown: str) -> bool:
    try:
        address = ip_address(shown)
    except ValueError:
        return False
    # `::` alone is punctuation of programs; `::1` and the like tell of nobody.
    return address.version == 4 or shown.count(":") > 2


def _is_phone(shown: str) -> bool:
    digits = sum(char.isdigit() for char in shown)
    if shown.lstrip("(").startswith("+"):
        return 8 <= digits <= 15
    if _NANP.fullmatch(shown):
        return True
    return shown.lstrip("(").startswith("0") and 9 <= digits <= 13 and "." not in shown


def _cards(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield card numbers: 13 to 19 digits, at the ends of groups, whose check holds; the longest from each place."""
    for run in _DIGITS.finditer(text, start):
        places = [at for at in range(run.start(), run.end()) if text[at].isdigit()]
        after = 0
        for first, at in enumerate(places):
            if at < after or (first and places[first - 1] == at - 1):
                continue
            for last in range(min(first + 18, len(places) - 1), first + 11, -1):
                end = places[last] + 1
                if (end >= len(text) or not text[end].isdigit()) and _luhn(text[at:end]):
                    yield "card", at, end
                    after = end
                    break


def _luhn(shown: str) -> bool:
    digits = [int(char) for char in shown if char.isdigit()][::-1]
    if len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _ibans(text: str, start: int = 0) -> Iterator[tuple[int, int | None]]:
    """Yield where IBANs begin and end; the end is None of one that more text may complete."""
    for found in _IBAN.finditer(text, start):
        length = _IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        at, shown = found.start(), ""
        end = at
        while length and end < len(text) and len(shown) < length:
            if text[end].isascii() and text[end].isalnum():
                shown += text[end].upper()
            elif text[end] not in " -" or text[end - 1] in " -":
                break
            end += 1
        if len(shown) == length and shown and _checks(shown):
            yield at, end
        elif end == len(text) and length and len(text) - at < _IBAN_TAIL:
            yield at, None


def _checks(shown: str) -> bool:
    return int("".join(str(int(char, 36)) for char in shown[4:] + shown[:4])) % 97 == 1
