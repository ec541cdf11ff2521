"""Messages: a tree per thread, kept as lanes so that a branch is a few ranges and never a walk over its rows.

A lane is a chain of messages without a branch, named after its first one. A message continues its parent's lane if it
is the first to follow it in the same thread, else it begins a lane of its own. The branch that ends at a message is
then: its lane up to it, the lane of that lane's parent up to there, and so on: one step per place where somebody
branched off, however long the thread is (THR-3, THR-6).
"""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

INSERT = """
INSERT INTO messages (id, thread_id, tenant, user_id, run_id, parent_id, seq, lane, depth, role, content, parts,
    created_at, metadata, native)
SELECT :id, t.id, t.tenant, t.user_id, :run_id, p.id, t.message_count + :nth,
    CASE WHEN p.thread_id = t.id
        AND NOT EXISTS (SELECT 1 FROM messages s WHERE s.lane = p.lane AND s.depth = p.depth + 1)
    THEN p.lane ELSE :id END,
    coalesce(p.depth, 0) + 1, :role, :content, :parts, :at, :metadata, :native
FROM threads t LEFT JOIN messages p ON p.id = :parent_id WHERE t.id = :thread_id
"""

PLACE = f"""
SELECT m.id, m.thread_id, m.lane, m.depth, m.seq FROM messages m WHERE m.id = :id AND {owned("m")}
"""

PATH = """
path (lane, lo, hi, parent_id) AS (
    SELECT m.lane, f.depth, m.depth, f.parent_id FROM messages m JOIN messages f ON f.id = m.lane WHERE m.id = :head_id
    UNION ALL
    SELECT m.lane, f.depth, m.depth, f.parent_id
    FROM path JOIN messages m ON m.id = path.parent_id JOIN messages f ON f.id = m.lane
    WHERE path.lo > :first
)
"""
"""The lanes of the branch that ends at `:head_id`, down to the one that holds depth `:first`."""

ON_PATH = f"""
WITH RECURSIVE {PATH} SELECT 1 FROM path WHERE path.lane = :lane AND path.hi >= :depth
"""

END = f"""
SELECT t.id, t.tenant, t.user_id, t.base_id, t.message_count, m.id AS head_id, m.thread_id AS head_thread,
    m.lane, m.depth, b.depth AS base_depth
FROM threads t LEFT JOIN messages m ON m.id = coalesce(:head_id, t.head_id) AND {owned("m")}
    LEFT JOIN messages b ON b.id = t.base_id
WHERE t.id = :thread_id AND {owned("t")}
"""
"""A thread and the place of one of its messages (the head unless `:head_id` names another)."""
