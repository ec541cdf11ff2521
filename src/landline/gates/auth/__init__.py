"""API keys: how they are made, kept and checked (TRU-1, TRU-6)."""

from landline.gates.auth.keys import KeyAuthenticator, OpenAuthenticator, make_key

__all__ = ["KeyAuthenticator", "OpenAuthenticator", "make_key"]
