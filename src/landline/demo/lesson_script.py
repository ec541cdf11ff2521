"""What the offline script says in a lesson. It knows a few facts and says where they end."""

import re

__all__ = ["lesson_script"]

_FACTS: tuple[tuple[str, str, str], ...] = (
    (
        r"photosynthes|plant|leaf|leaves",
        (
            "Plants make sugar out of water and carbon dioxide, and light gives them the energy for it. The oxygen we breathe "
            "is what they have left over."
        ),
        "It happens in the chloroplasts: light splits water there, and the energy won builds sugar from carbon dioxide.",
    ),
    (
        r"fraction",
        "A fraction says how many equal parts you take: in 3/4 something is cut into 4 parts, and you have 3 of them.",
        "To add fractions, cut both into parts of the same size first: 1/2 + 1/3 becomes 3/6 + 2/6, which is 5/6.",
    ),
    (
        r"\bsky\b",
        (
            "Sunlight holds all colours, and the air scatters blue much more than red. So blue light reaches you from "
            "everywhere above."
        ),
        "In the evening light takes a long way through the air, the blue is scattered out of it, and what is left is red.",
    ),
    (
        r"gravit|newton",
        (
            "All masses pull at each other. The Earth pulls at you, you pull at the Earth, and because it is so heavy only "
            "you seem to fall."
        ),
        "The pull grows with both masses and becomes weaker with the square of the distance: twice as far, a quarter.",
    ),
)
_UNKNOWN = (
    (
        "I am an offline script and not a language model, so of {topic} I know only the name. I do know photosynthesis, "
        "fractions, the blue of the sky, and gravity."
    ),
    "The way to learn it is always the same: find one example, change one thing in it, and see what happens.",
)


def lesson_script(speaker: str, topic: str, before: str) -> str:
    """Return the words of `speaker` after `before` was said."""
    first, more = _facts(topic)
    if speaker == "student":
        if before == "goodbye":
            return f"Thank you! Now I can tell somebody else about {topic}."
        return f"I think I see it. But how does it work in detail, with {topic}?"
    if not before:
        return f"Welcome to our lesson about {topic}. {first}"
    if "how does it work in detail" in before:
        return more
    return f"You ask: “{before.rstrip('?.! ')}?” A good question. Keep these two sentences in mind: {first} {more}"


def _facts(topic: str) -> tuple[str, str]:
    for pattern, first, more in _FACTS:
        if re.search(pattern, topic, re.IGNORECASE):
            return first, more
    return _UNKNOWN[0].format(topic=topic), _UNKNOWN[1]
