"""Parts of A2A's messages and artifacts, made of ours: pure functions."""

import mimetypes
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from landline.faces.a2a import wire
from landline.model.messages import FilePart, ImagePart, Part, TextPart
from landline.model.runs import Question

__all__ = ["asked", "data_part", "located", "parts_of", "reference"]

_INLINE: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w-]+=[\w.-]+)*;base64,([A-Za-z0-9+/]*={0,2})")
_json: Final = msgspec.json.Encoder().encode


def parts_of(given: Sequence[Part]) -> list[dict[str, Any]]:
    """Return the parts of a user's message as the wire has them; files by reference, since their sender has them."""
    shown: list[dict[str, Any]] = []
    for part in given:
        if isinstance(part, TextPart):
            shown.append({"text": part.text})
        elif isinstance(part, (FilePart, ImagePart)):
            named = {"filename": part.name, "mediaType": part.media_type}
            shown.append({**reference(part.file_id), **{key: name for key, name in named.items() if name}})
    return shown or [{"text": ""}]


def located(url: str) -> dict[str, Any]:
    """Return the content at `url`: the bytes of a data URL themselves, else the address and the type its name shows."""
    if found := _INLINE.fullmatch(url):
        return {"raw": found[2], "mediaType": found[1] or "text/plain"}
    try:
        kind, _ = mimetypes.guess_type(urlsplit(url).path)
    except ValueError:
        kind = None
    return {"url": url, "mediaType": kind} if kind else {"url": url}


def reference(file_id: str) -> dict[str, Any]:
    """Return a file by its id here, where its bytes are not sent."""
    return {"data": {"fileId": file_id}}


def data_part(value: Any) -> dict[str, Any]:
    """Return structured data as a part."""
    return {"data": value, "mediaType": wire.JSON}


def asked(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Return questions as a text for people and as data for programs."""
    texts = list(map(_prompt, questions))
    if len(texts) > 1:
        texts = [f"{number}. {text}" for number, text in enumerate(texts, 1)]
    return [{"text": "\n".join(texts)}, data_part({"questions": list(map(_question, questions))})]


def _prompt(question: Question) -> str:
    lines = [question.prompt or "The agent needs an input to go on."]
    if question.tool is not None:
        # An approval binds to exactly these arguments, so whoever agrees must see them.
        lines.append(f"{question.tool} {_json(question.arguments).decode()}")
    lines += [f"- {choice}" for choice in question.choices or ()]
    return "\n".join(lines)


def _question(question: Question) -> dict[str, Any]:
    fields = {
        "questionId": question.question_id,
        "kind": question.kind,
        "prompt": question.prompt,
        "tool": question.tool,
        "callId": question.call_id,
        "arguments": question.arguments,
        "choices": list(question.choices) if question.choices is not None else None,
        "expiresAt": question.expires_at,
    }
    return {name: value for name, value in fields.items() if value is not None}
