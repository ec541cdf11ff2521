"""The guard `injection`: words that try to give orders to an agent, in what users say and in what tools bring.

These are heuristics: they find the usual phrases and miss clever ones. What keeps an agent safe from what it reads is what
its tools may do without a human (`landline.tool(approval=True)`); this guard tells that somebody tries.
"""

import re

from landline.gates.guards.folded import fold
from landline.ports.guards import Action, Span, Stage, Verdict

__all__ = ["InjectionGuard"]

_ALL = r"(?:all |any |every |the |your |my |of |these |those ){0,4}"
_EARLIER = r"(?:previous|prior|earlier|above|preceding|original|former|system)"
_ORDERS = r"(?:instruction|prompt|rule|direction|guideline|command|context|message)s?"
_SHAPES = {
    "override": rf"\b(?:ignore|disregard|forget|override|bypass|do not follow) {_ALL}{_EARLIER} {_ORDERS}\b",
    "new_orders": r"\b(?:new|updated|real|actual) (?:system )?instructions?(?: from [a-z ]{2,30})?:",
    "role": r"\b(?:you are now|from now on,? you are|pretend (?:to be|you are)|act as) (?:a |an |the )?"
    r"(?:dan\b|jailbroken|unrestricted|unfiltered|evil|root|admin|developer mode|different (?:ai|assistant))",
    "no_limits": r"\b(?:without|no) (?:any )?(?:restrictions|filters|safety guidelines|content policy)\b",
    "prompt_leak": r"\b(?:reveal|show|print|repeat|output|tell me|give me|leak) (?:me )?(?:the |your |all )"
    r"{0,2}(?:hidden |secret |full |initial |exact ){0,2}(?:system prompt|system message|initial prompt|instructions above)\b",
    "secrecy": r"\b(?:do not|don't|never) (?:tell|inform|mention (?:this )?to|alert|notify) (?:the )?(?:user|human|owner)\b",
    "exfiltration": r"\b(?:send|forward|post|upload|exfiltrate|email) (?:all |the |your |this |every ){0,3}"
    r"(?:conversation|chat history|api keys?|passwords?|credentials|secrets|system prompt)\b",
    "template": r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?inst\]|<</?sys>>",
    "fake_turn": r"(?:^| )#{2,4} ?(?:system|instruction|assistant) ?:",
}
_PATTERNS = {label: re.compile(shape) for label, shape in _SHAPES.items()}

_LONGEST = 130
"""Characters of the longest of these."""


class InjectionGuard:
    """Finds what looks like orders to the agent."""

    name = "injection"
    stages: frozenset[Stage] = frozenset({"input", "tool_output"})
    whole = False

    def __init__(self, action: Action = "flag") -> None:
        self._action: Action = action

    def settled(self, text: str, start: int) -> int:
        """Return the end without as much as the longest phrase has."""
        folded = fold(text, case=True)
        return max(start, min(folded.start(max(0, len(folded.text) - _LONGEST)), len(text)))

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        folded = fold(text, case=True)
        first = folded.at(start)
        spans = [
            Span(start=folded.start(found.start()), end=folded.end(found.end()), label=label)
            for label, pattern in _PATTERNS.items()
            for found in pattern.finditer(folded.text, first)
        ]
        return Verdict(action=self._action, spans=spans) if spans else Verdict()
