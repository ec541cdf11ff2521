"""Files and API keys."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

INSERT_FILE = """
INSERT INTO files (id, tenant, user_id, name, media_type, size, sha256, created_at)
VALUES (:id, :tenant, :user, :name, :media_type, :size, :sha256, :created_at)
"""

GET_FILE = f"""
SELECT f.id, f.name, f.media_type, f.size, f.sha256, f.created_at FROM files f WHERE f.id = :id AND {owned("f")}
"""

_KEY_COLUMNS = """k.id, k.prefix, k.hash, k.tenant, k.user_id, k.scopes, k.name, k.created_at, k.expires_at,
    k.revoked_at, k.last_used_at"""

INSERT_API_KEY = """
INSERT INTO api_keys (id, tenant, user_id, prefix, hash, scopes, name, created_at, expires_at)
VALUES (:id, :tenant, :user, :prefix, :hash, :scopes, :name, :at, :expires_at)
"""

FIND_API_KEYS = f"SELECT {_KEY_COLUMNS} FROM api_keys k WHERE k.prefix = :prefix ORDER BY k.id"

LIST_API_KEYS = f"SELECT {_KEY_COLUMNS} FROM api_keys k WHERE {owned('k')} ORDER BY k.id"

REVOKE_API_KEY = f"""
UPDATE api_keys AS k SET revoked_at = coalesce(revoked_at, :at) WHERE k.id = :id AND {owned("k")}
"""

TOUCH = """
INSERT INTO meta (key, value) VALUES ('checked', '1')
ON CONFLICT (key) DO UPDATE SET value = CASE value WHEN '1' THEN '2' ELSE '1' END
"""
"""A write that really changes a page, for `check`."""
