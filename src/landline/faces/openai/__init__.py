"""The OpenAI face: Chat Completions, models, Responses and conversations under `/v1` (FACE-6, FACE-7)."""

from landline.faces.openai.routes import face

__all__ = ["face"]
