"""Guards on content: what they block or redact is told to nobody (TRU-21)."""

from landline.gates.guards.endpoints import Endpoint
from landline.gates.guards.files import FileLook
from landline.gates.guards.gate import GuardGate
from landline.gates.guards.rules import Made, read_rule, rules_of
from landline.gates.guards.words import WordGuard, words_of

__all__ = ["Endpoint", "FileLook", "GuardGate", "Made", "WordGuard", "read_rule", "rules_of", "words_of"]
