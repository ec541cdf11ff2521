"""The AG-UI face: AG-UI 1.0 over HTTP and SSE at `/ag-ui/{agent}`, with interrupts, snapshots and resume (FACE-8)."""

from landline.faces.ag_ui.routes import face

__all__ = ["face"]
