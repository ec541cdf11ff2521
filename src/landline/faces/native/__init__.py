"""The native face: REST, SSE and WebSocket, the wire that this project owns (FACE-1, FACE-5)."""

from landline.faces.native.routes import face

__all__ = ["face"]
