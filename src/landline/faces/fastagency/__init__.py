"""The FastAgency face: every agent as a workflow of FastAgency's wire, for its `FastAPIProvider` (FACE-12)."""

from landline.faces.fastagency.routes import face

__all__ = ["face"]
