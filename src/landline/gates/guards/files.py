"""Files as guards see them: their names and, where they are text, all that is in them.

A file is kept by what is in it and is never changed: one in which a guard would redact something is refused like one that it
blocks. What is no text (images, sound, PDF, archives) or is too large cannot be looked into.
"""

import asyncio
import codecs
from collections.abc import AsyncIterator

import msgspec

from landline.gates.guards.held import Held
from landline.gates.guards.judge import UNAVAILABLE, Judge, Judged
from landline.model.callers import Caller
from landline.model.events import GuardTripped
from landline.ports.runs import Files

__all__ = ["MOST_BYTES", "FileLook", "Unreadable"]

MOST_BYTES = 256_000
"""The default of `guard_file_bytes`: measured, all local guards take 1 s for it in ASCII, and 5 s in other scripts."""

PIECE = 1_024
"""Characters that are judged before other runs get their turn."""

SENT = 16_384
"""Characters that a guard's server is asked about at once: it is asked one piece after the other."""

_NO_TEXT = ("image/", "audio/", "video/", "font/", "application/pdf", "application/zip", "application/gzip")
"""Types that are no text, although the bytes of some files of theirs can be read as such."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Unreadable(Exception):
    """No guard can look into the file, and such files are not taken."""


class FileLook:
    """Looks into files of callers. With `refuse` one that cannot be looked into does not pass."""

    def __init__(self, files: Files, *, most_bytes: int = MOST_BYTES, refuse: bool = False) -> None:
        self._files, self._most_bytes, self._refuse = files, most_bytes, refuse

    async def refused(
        self, caller: Caller, file_id: str, name: str | None, judge: Judge, tripped: list[GuardTripped]
    ) -> GuardTripped | None:
        """Return what does not let the file pass, if anything; all that guards said is added to `tripped`.

        Raises:
            NotFound: The caller has no such file.
            Unavailable: A guard cannot judge now.
            Unreadable: Nobody can look into it, and such files are refused.
        """
        info = await self._files.info(caller, file_id)
        names = [info.name] if name in (None, info.name) else [info.name, str(name)]
        texts: list[str] | None = None
        if info.size <= self._most_bytes and not info.media_type.startswith(_NO_TEXT):
            _, data = await self._files.read(caller, file_id)
            texts = _texts(data, lossy=info.media_type.startswith("text/"))
        if texts is None and self._refuse:
            raise Unreadable
        judges = judge.apart()
        for text in [*names, *(texts or ())]:
            for one in judges:
                async for said in _said(one, text):
                    if said not in tripped:
                        tripped.append(said)
                    if said.action in ("block", "redact"):
                        return said
        return None


async def _said(judge: Judge, text: str) -> AsyncIterator[GuardTripped]:
    """Yield what guards say of a text, piece by piece; one that cannot judge, and need not, is not asked again."""
    held, size = Held(judge), SENT if judge.whole else PIECE
    for at in range(0, len(text) + 1, size):
        more = text[at : at + size]
        judged = await (held.more(more) if at + size <= len(text) else _last(held, more))
        for said in judged.tripped:
            yield said
            if judge.whole and said.info == UNAVAILABLE:
                return
        await asyncio.sleep(0)


async def _last(held: Held, more: str) -> Judged:
    held.waiting += more
    return await held.rest()


def _texts(data: bytes, *, lossy: bool) -> list[str] | None:
    """Return what an agent may read in `data`, or None when it is no text."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding, "replace" if lossy else "strict")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if "\\u" not in text and "\\/" not in text:
        return [text]
    try:  # JSON may write any letter as a number
        return [text, msgspec.json.encode(msgspec.json.decode(data)).decode()]
    except (msgspec.DecodeError, UnicodeError):
        return [text]
