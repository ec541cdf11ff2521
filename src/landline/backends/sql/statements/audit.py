"""The audit log. Its rows belong to a tenant, not to a user: whoever may read them reads those of all its users."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

_COLUMNS = """a.n, a.id, a.at, a.tenant, a.user_id, a.key_id, a.roles, a.action, a.target, a.outcome, a.request_id,
    a.remote, a.details"""

_WANTED = """(:action IS NULL OR a.action = :action) AND (:user IS NULL OR a.user_id = :user)
    AND (:target IS NULL OR a.target = :target)
    AND (:after IS NULL OR a.at >= :after) AND (:before IS NULL OR a.at < :before)"""

INSERT = """
INSERT INTO audit (id, at, tenant, user_id, key_id, roles, action, target, outcome, request_id, remote, details)
VALUES (:id, :at, :tenant, :user, :key_id, :roles, :action, :target, :outcome, :request_id, :remote, :details)
"""

_NEWEST = "a.n < :place"
_OLDEST = "a.n > :place"


def _list(own: str, place: str, order: str) -> str:
    return (
        f"SELECT {_COLUMNS} FROM audit a WHERE {own}{place} AND {_WANTED} ORDER BY a.n {order} LIMIT :limit"
    )


LIST = _list("a.tenant = :tenant AND ", _NEWEST, "DESC")
LIST_OLDEST = _list("a.tenant = :tenant AND ", _OLDEST, "ASC")
LIST_ALL = _list("", _NEWEST, "DESC")
LIST_ALL_OLDEST = _list("", _OLDEST, "ASC")

BEGIN_PRUNING = """
INSERT INTO meta (key, value) VALUES ('audit_pruned_before', :before) ON CONFLICT (key) DO UPDATE SET value = :before
"""

PRUNE = "DELETE FROM audit WHERE at < :before AND action <> 'audit.prune'"

END_PRUNING = "DELETE FROM meta WHERE key = 'audit_pruned_before'"
