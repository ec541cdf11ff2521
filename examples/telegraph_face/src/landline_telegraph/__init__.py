"""The telegraph; its entry point names `face`."""

from landline_telegraph.routes import face

__all__ = ["face"]
