"""Threads, and the idempotency keys of everything that is made."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

COLUMNS = """t.id, t.user_id, t.agent, t.title, t.metadata, t.pinned, t.archived, t.head_id, t.created_at,
    t.updated_at, t.message_count"""

INSERT = """
INSERT INTO threads (id, tenant, user_id, agent, title, metadata, pinned, archived, head_id, base_id, message_count,
    created_at, updated_at)
VALUES (:id, :tenant, :user, :agent, :title, :metadata, FALSE, FALSE, :base_id, :base_id, :message_count, :at, :at)
"""

GET = f"SELECT {COLUMNS} FROM threads t WHERE t.id = :id AND {owned('t')}"

STATE = f"""
SELECT t.id, t.tenant, t.user_id, t.agent, t.head_id, t.base_id, t.message_count,
    (SELECT r.id FROM runs r WHERE r.thread_id = t.id AND r.status IN ('running', 'waiting')) AS active_id,
    (SELECT r.status = 'waiting' FROM runs r WHERE r.thread_id = t.id AND r.status IN ('running', 'waiting')) AS waits,
    (SELECT r.id FROM runs r WHERE r.thread_id = t.id AND r.status = 'queued' ORDER BY r.rank, r.n LIMIT 1)
        AS queued_id,
    (SELECT min(r.rank) FROM runs r WHERE r.thread_id = t.id AND r.status = 'queued') AS first_rank
FROM threads t WHERE t.id = :id AND {owned("t")}
"""

PATCH = f"""
UPDATE threads AS t SET
    title = CASE WHEN :clear_title THEN NULL ELSE coalesce(:title, title) END,
    metadata = coalesce(:metadata, metadata), pinned = coalesce(:pinned, pinned),
    archived = coalesce(:archived, archived), head_id = coalesce(:head_id, head_id), updated_at = :at
WHERE t.id = :id AND {owned("t")}
"""

HEAD = "SELECT head_id FROM threads WHERE id = :id"

MOVE_HEAD = """
UPDATE threads SET head_id = :head_id, message_count = message_count + :added, updated_at = :at WHERE id = :id
"""

FOLLOW_HEAD = """
UPDATE threads SET message_count = message_count + :added, updated_at = :at,
    head_id = CASE WHEN coalesce(head_id, '') = coalesce(:tail_id, '') THEN :head_id ELSE head_id END
WHERE id = :id
"""

DELETE = f"DELETE FROM threads AS t WHERE t.id = :id AND {owned('t')}"

FIND_KEY = """
SELECT body_hash, target_id FROM idempotency
WHERE tenant = :tenant AND user_id = :user AND route = :route AND key = :key
"""

INSERT_KEY = """
INSERT INTO idempotency (tenant, user_id, route, key, body_hash, target_id, at)
VALUES (:tenant, :user, :route, :key, :body_hash, :target_id, :at)
ON CONFLICT (tenant, user_id, route, key)
DO UPDATE SET body_hash = excluded.body_hash, target_id = excluded.target_id, at = excluded.at
"""

PURGE_KEYS = "DELETE FROM idempotency WHERE at < :before"
