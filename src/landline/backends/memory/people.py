"""Keys and users of the memory store."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from landline.backends.memory.state import State, missing
from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import NewUser, UserPatch, UserRow

__all__ = [
    "add_key",
    "add_user",
    "find_key",
    "find_user",
    "get_key",
    "get_user",
    "list_keys",
    "list_users",
    "note_sign_in",
    "revoke_key",
    "update_user",
    "used_keys",
]


def add_key(state: State, caller: Caller, key: NewKey, retire_at: str | None) -> None:
    """Keep an API key, and have the one that it replaces end."""
    if not caller.governs(key.tenant, key.user):
        raise missing("user", key.user)
    if key.replaces is not None and retire_at is not None:
        old = get_key(state, caller, key.replaces)
        if old.revoked_at is not None:
            raise Conflict(f"The key {old.id} is revoked.", code="key_ended")
        state.keys[old.id] = replace(
            state.keys[old.id], expires_at=min(old.expires_at or retire_at, retire_at)
        )
    words = {"scopes": tuple(key.scopes), "agents": None if key.agents is None else tuple(key.agents)}
    columns: dict[str, Any] = {**asdict(key), **words}
    state.keys[key.id] = KeyRow(**columns)


def _whole(state: State, row: KeyRow) -> KeyRow:
    """Return a key with what is known of its user now."""
    user = find_user(state, row.tenant, row.user)
    return row if user is None else replace(row, user_roles=user.roles, user_disabled_at=user.disabled_at)


def find_key(state: State, prefix: str) -> list[KeyRow]:
    """Return the keys with this prefix."""
    return [_whole(state, row) for _, row in sorted(state.keys.items()) if row.prefix == prefix]


def get_key(state: State, caller: Caller, key_id: str) -> KeyRow:
    """Return a key."""
    row = state.keys.get(key_id)
    if row is None or not caller.governs(row.tenant, row.user):
        raise missing("key", key_id)
    return _whole(state, row)


def list_keys(
    state: State, caller: Caller, *, user: str | None, after: str, limit: int | None
) -> list[KeyRow]:
    """Return the keys that the caller looks after."""
    rows = [row for id_, row in sorted(state.keys.items()) if id_ > after]
    kept = [row for row in rows if caller.governs(row.tenant, row.user) and user in (None, row.user)]
    return [_whole(state, row) for row in kept[:limit]]


def revoke_key(state: State, caller: Caller, key_id: str, at: str) -> None:
    """Revoke a key."""
    kept = get_key(state, caller, key_id)
    state.keys[key_id] = replace(state.keys[key_id], revoked_at=kept.revoked_at or at)


def used_keys(state: State, caller: Caller, used: Mapping[str, str]) -> None:
    """Note when keys were last used."""
    for key_id in used.keys() & state.keys.keys() if caller.system else ():
        row = state.keys[key_id]
        state.keys[key_id] = replace(row, last_used_at=max(row.last_used_at or "", used[key_id]))


def add_user(state: State, caller: Caller, new: NewUser) -> None:
    """Keep a user."""
    if not caller.governs(new.tenant, ""):
        raise missing("tenant", new.tenant)
    if find_user(state, new.tenant, new.name) is not None:
        raise Conflict(f"There is a user {new.name} already.", code="user_exists")
    columns: dict[str, Any] = {**asdict(new), "roles": tuple(new.roles)}
    state.users[new.id] = UserRow(**columns)


def find_user(state: State, tenant: str, name: str) -> UserRow | None:
    """Return a user by name."""
    return next((row for row in state.users.values() if (row.tenant, row.name) == (tenant, name)), None)


def get_user(state: State, caller: Caller, user_id: str) -> UserRow:
    """Return a user."""
    row = state.users.get(user_id)
    if row is None or not caller.governs(row.tenant, row.name):
        raise missing("user", user_id)
    return row


def list_users(
    state: State, caller: Caller, *, tenant: str | None, after: str, limit: int | None
) -> list[UserRow]:
    """Return the users that the caller looks after."""
    rows = [row for id_, row in sorted(state.users.items()) if id_ > after]
    kept = [row for row in rows if caller.governs(row.tenant, row.name) and tenant in (None, row.tenant)]
    return kept[:limit]


def update_user(state: State, caller: Caller, user_id: str, patch: UserPatch) -> UserRow:
    """Change a user."""
    row = get_user(state, caller, user_id)
    changes: dict[str, Any] = {}
    if patch.roles is not None:
        changes["roles"] = tuple(patch.roles)
    if patch.clear_email or patch.email is not None:
        changes["email"] = None if patch.clear_email else patch.email
    if patch.password_hash is not None:
        changes["password_hash"] = patch.password_hash
    if patch.enabled is not None:
        changes["disabled_at"] = None if patch.enabled else row.disabled_at or patch.at
    if patch.enabled or patch.password_hash is not None:
        changes |= {"failed_count": 0, "locked_until": None}
    state.users[user_id] = replace(row, **changes)
    return state.users[user_id]


def note_sign_in(state: State, user_id: str, right: bool, lock_at: int, locked_until: str | None) -> int:
    """Count a try to sign in."""
    row = state.users.get(user_id)
    if row is None:
        return 0
    count = 0 if right else row.failed_count + 1
    locked = None if right else locked_until if 0 < lock_at <= count else row.locked_until
    state.users[user_id] = replace(row, failed_count=count, locked_until=locked)
    return count
