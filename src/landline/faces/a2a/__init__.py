"""The A2A face: agents speak the Agent2Agent protocol 1.0, over JSON-RPC and HTTP+JSON (FACE-10)."""

from landline.faces.a2a.routes import face

__all__ = ["face"]
