"""The tutorials' wires: the lesson's chat and sessions, the bank's queries (FACE-2, FACE-3), and more of them apart (FACE-4).

Two faces of one unit, so that the further routes stay off while the first ones are on.
"""

from landline.faces.tutorials.routes import face, more

__all__ = ["face", "more"]
