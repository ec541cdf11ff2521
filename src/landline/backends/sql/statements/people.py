"""Files, API keys and users."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

INSERT_FILE = """
INSERT INTO files (id, tenant, user_id, name, media_type, size, sha256, created_at)
VALUES (:id, :tenant, :user, :name, :media_type, :size, :sha256, :created_at)
"""

GET_FILE = f"""
SELECT f.id, f.name, f.media_type, f.size, f.sha256, f.created_at FROM files f WHERE f.id = :id AND {owned("f")}
"""

# A key's or an account's keeper is its user, and whoever operates the tenant (`admin`).
_KEPT_KEY = "(:system OR (k.tenant = :tenant AND (:admin OR k.user_id = :user)))"
_KEPT_USER = "(:system OR (u.tenant = :tenant AND (:admin OR u.name = :user)))"

_KEYS = """
SELECT k.id, k.prefix, k.hash, k.tenant, k.user_id, k.scopes, k.name, k.created_at, k.expires_at, k.revoked_at,
    k.last_used_at, k.agents, k.tier, k.limits, k.replaces, o.roles AS user_roles, o.disabled_at AS user_disabled_at
FROM api_keys k LEFT JOIN users o ON o.tenant = k.tenant AND o.name = k.user_id
"""

INSERT_API_KEY = """
INSERT INTO api_keys
    (id, tenant, user_id, prefix, hash, scopes, name, created_at, expires_at, agents, tier, limits, replaces)
VALUES (:id, :tenant, :user, :prefix, :hash, :scopes, :name, :at, :expires_at, :agents, :tier, :limits, :replaces)
"""

FIND_API_KEYS = f"{_KEYS} WHERE k.prefix = :prefix ORDER BY k.id"

GET_API_KEY = f"{_KEYS} WHERE k.id = :id AND {_KEPT_KEY}"

LIST_API_KEYS = f"""
{_KEYS} WHERE {_KEPT_KEY} AND k.id > :after AND (:only IS NULL OR k.user_id = :only) ORDER BY k.id LIMIT :limit
"""

REVOKE_API_KEY = f"""
UPDATE api_keys AS k SET revoked_at = coalesce(revoked_at, :at) WHERE k.id = :id AND {_KEPT_KEY}
"""

RETIRE_API_KEY = f"""
UPDATE api_keys AS k SET expires_at = CASE WHEN expires_at < :until THEN expires_at ELSE :until END
WHERE k.id = :id AND k.revoked_at IS NULL AND {_KEPT_KEY}
"""

USED_API_KEY = """
UPDATE api_keys SET last_used_at = :at WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :at)
"""

_USERS = """
SELECT u.id, u.tenant, u.name, u.email, u.password_hash, u.roles, u.created_at, u.disabled_at, u.failed_count,
    u.locked_until
FROM users u
"""

INSERT_USER = """
INSERT INTO users (id, tenant, name, email, password_hash, roles, created_at, failed_count)
VALUES (:id, :tenant, :name, :email, :password_hash, :roles, :at, 0)
ON CONFLICT (tenant, name) DO NOTHING
"""

FIND_USER = f"{_USERS} WHERE u.tenant = :tenant AND u.name = :name"

GET_USER = f"{_USERS} WHERE u.id = :id AND {_KEPT_USER}"

LIST_USERS = f"""
{_USERS} WHERE {_KEPT_USER} AND u.id > :after AND (:only IS NULL OR u.tenant = :only) ORDER BY u.id LIMIT :limit
"""

UPDATE_USER = f"""
UPDATE users AS u SET
    roles = coalesce(:roles, roles),
    email = CASE WHEN :clear_email THEN NULL ELSE coalesce(:email, email) END,
    password_hash = coalesce(:password_hash, password_hash),
    disabled_at = CASE WHEN :enable THEN NULL WHEN :disable THEN coalesce(disabled_at, :at) ELSE disabled_at END,
    failed_count = CASE WHEN :enable OR :password_hash IS NOT NULL THEN 0 ELSE failed_count END,
    locked_until = CASE WHEN :enable OR :password_hash IS NOT NULL THEN NULL ELSE locked_until END
WHERE u.id = :id AND {_KEPT_USER}
"""

NOTE_SIGN_IN = """
UPDATE users SET
    failed_count = CASE WHEN :right THEN 0 ELSE failed_count + 1 END,
    locked_until = CASE
        WHEN :right THEN NULL
        WHEN :lock_at > 0 AND failed_count + 1 >= :lock_at THEN :locked_until
        ELSE locked_until END
WHERE id = :id
RETURNING failed_count
"""

TOUCH = """
INSERT INTO meta (key, value) VALUES ('checked', '1')
ON CONFLICT (key) DO UPDATE SET value = CASE value WHEN '1' THEN '2' ELSE '1' END
"""
"""A write that really changes a page, for `check`."""
