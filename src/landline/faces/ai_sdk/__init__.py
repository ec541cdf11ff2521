"""The AI SDK face: the UI message stream of Vercel's AI SDK, for `useChat`, under `/ai/{agent}` (FACE-9)."""

from landline.faces.ai_sdk.routes import face

__all__ = ["face"]
