"""What the offline script understands of notes, and what it says about them."""

import re
from collections.abc import Sequence

from pydantic_ai.messages import ToolReturnPart

from landline.demo.script import Call, Reply, Said

__all__ = ["notes_script"]

HELP = (
    "I am a small offline script, not a language model, so I understand only a few requests:\n\n"
    "- “Create a note titled Shopping: milk and bread”\n"
    "- “Remember to call Anna”\n"
    "- “List my notes”\n"
    "- “Delete note 1”, “Delete notes 1 and 2”, “Delete the note about shopping”\n\n"
    "I ask you before I delete anything. With `OPENAI_API_KEY` or `OPENAI_BASE_URL` set, a real model does this."
)
UNKNOWN = "I did not understand that. "

_DELETE = re.compile(r"\b(delete|remove|erase|drop)\b", re.IGNORECASE)
_NUMBERS = re.compile(r"\d{1,9}")
_LIST = re.compile(
    r"\b(list|show|see|read|what|which|how many|have i)\b.*\bnotes?\b|^\W*(my )?notes\W*$", re.IGNORECASE
)
_REMEMBER = re.compile(
    r"^\W*(?:please\s+)?(?:remember|remind me|note|note down|write down)\b\s*(?:that|to|:)?\s*(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_CREATE = re.compile(
    r"\b(?:create|add|make|write|save|take|new|keep)\b.*?\bnotes?\b(?:\s+that\b)?\s*(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_NAMED = re.compile(
    r"""^(?:titled|called|named|with\ the\ title|about)\s*["“']?(?P<title>.+?)["”']?
        (?:\s*(?::|-\s|–|\b(?:with|and)\ (?:the\ )?(?:content|text)\b:?|\bsaying\b:?|\bthat\ says\b:?)\s*(?P<content>.*))?$""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_LISTED = re.compile(r"^- \[(\d+)\] (.*)$", re.MULTILINE)
_SMALL_WORDS = re.compile(
    r"\b(a|about|all|an|and|any|called|delete|drop|erase|for|from|in|it|me|my|named|notes?|of|on|please|remove|that|the"
    r"|this|titled|to|with)\b"
)


def notes_script(said: Said) -> Reply:
    """Return the script's next move."""
    words = said.words.strip()
    if said.rounds:
        return _after_tools(words, said.rounds)
    if _DELETE.search(words):
        ids = _NUMBERS.findall(words)
        return [_delete(int(id_)) for id_ in dict.fromkeys(ids)] if ids else [Call("list_notes", {})]
    if (note := _note_in(words)) is not None:
        return [Call("create_note", note)]
    if _LIST.search(words):
        return [Call("list_notes", {})]
    if re.search(r"\b(help|hello|hi|hey|what can you)\b", words, re.IGNORECASE):
        return HELP
    return UNKNOWN + HELP


def _note_in(words: str) -> dict[str, str] | None:
    """Return the note the user wants kept, or None when the words ask for something else."""
    if created := _CREATE.search(words):
        rest = created.group(1).strip(" \n:-–")
        if named := _NAMED.match(rest):
            return {"title": _tidy(named["title"]), "content": (named["content"] or "").strip()}
        return {"title": _title_of(rest), "content": rest} if rest else None
    if remembered := _REMEMBER.match(words):
        rest = remembered.group(1).strip()
        return {"title": _title_of(rest), "content": rest}
    return None


def _title_of(text: str) -> str:
    head, colon, _ = text.partition(":")
    words = (head if colon and len(head) <= 60 else text).split()
    return _tidy(" ".join(words[:6]))


def _tidy(title: str) -> str:
    return title.strip(" .,:;\"“”'")[:80] or "Untitled"


def _delete(note_id: int) -> Call:
    return Call("delete_note", {"note_id": note_id})


def _after_tools(words: str, rounds: Sequence[Sequence[ToolReturnPart]]) -> Reply:
    newest = rounds[-1]
    if newest[0].tool_name == "list_notes":
        listed = str(newest[0].content)
        return _delete_among(words, listed) if _DELETE.search(words) else _listing(listed)
    return " ".join(_sentence(part) for part in newest)


def _listing(listed: str) -> str:
    if not _LISTED.search(listed):
        return "No notes found. Try “Create a note titled Shopping: milk and bread”."
    return f"Here are your notes:\n\n{listed}"


def _delete_among(words: str, listed: str) -> Reply:
    """Find the notes that the user means by their words."""
    notes = [(int(id_), title) for id_, title in _LISTED.findall(listed)]
    if not notes:
        return "You have no notes, so there is nothing to delete."
    if re.search(r"\b(all|every|everything)\b", words, re.IGNORECASE):
        return [_delete(id_) for id_, _ in notes]
    wanted = set(re.findall(r"\w+", _SMALL_WORDS.sub("", words.lower())))
    meant = [_delete(id_) for id_, title in notes if wanted & set(re.findall(r"\w+", title.lower()))]
    return (
        meant
        or f"I found no note of that name. {_listing(listed)}\n\nSay for example “Delete note {notes[0][0]}”."
    )


def _sentence(part: ToolReturnPart) -> str:
    match part.outcome:
        case "success":
            return str(part.content)
        case "denied":
            reason = str(part.content).strip()
            return f"I left it as it is, because you did not allow it ({reason.rstrip('.')})."
        case _:
            return f"That did not work ({part.tool_name})."
