"""API keys, users and passwords: how they are made, kept and checked (TRU-1, TRU-5, TRU-6)."""

from landline.gates.auth.accounts import StoreAccounts
from landline.gates.auth.keys import KeyAuthenticator, OpenAuthenticator, make_key
from landline.gates.auth.roles import BUILT_IN, check_roles, scopes_of_roles, tier_of_roles

__all__ = [
    "BUILT_IN",
    "KeyAuthenticator",
    "OpenAuthenticator",
    "StoreAccounts",
    "check_roles",
    "make_key",
    "scopes_of_roles",
    "tier_of_roles",
]
