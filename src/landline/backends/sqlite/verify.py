"""The invariants of the logs, each as a query that must find nothing (REL-13)."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import sqlite3

__all__ = ["verify"]

_TERMINAL = "('run.completed', 'run.failed', 'run.cancelled')"

_CHECKS = {
    "Run {id} has a gap or a doubled number in its log.": """
        SELECT r.id FROM runs r JOIN events e ON e.run_n = r.n GROUP BY r.n
        HAVING min(e.seq) <> 1 OR max(e.seq) <> count(*)""",
    "Run {id} has no events.": """
        SELECT r.id FROM runs r WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.run_n = r.n)""",
    "Run {id} does not have exactly one last event, or has one without having ended.": f"""
        SELECT r.id FROM runs r LEFT JOIN events e ON e.run_n = r.n AND e.type IN {_TERMINAL} GROUP BY r.n
        HAVING count(e.seq) <> CASE WHEN r.status IN ('completed', 'failed', 'cancelled') THEN 1 ELSE 0 END""",
    "Run {id} has events after its last.": f"""
        SELECT DISTINCT r.id FROM runs r JOIN events e ON e.run_n = r.n AND e.type IN {_TERMINAL}
        WHERE EXISTS (SELECT 1 FROM events l WHERE l.run_n = r.n AND l.seq > e.seq)""",
    "Run {id} is in another state than its last event says.": """
        SELECT r.id FROM runs r JOIN events e ON e.run_n = r.n
            AND e.seq = (SELECT max(seq) FROM events WHERE run_n = r.n)
        WHERE (r.status IN ('completed', 'failed', 'cancelled') AND e.type <> 'run.' || r.status)
            OR (r.status = 'queued' AND e.type <> 'run.created')
            OR (r.status = 'waiting' AND e.type NOT IN ('run.waiting', 'question.answered'))""",
    "Run {id} has ended without a time, or has a time without having ended.": """
        SELECT r.id FROM runs r
        WHERE (r.status IN ('completed', 'failed', 'cancelled')) <> (r.ended_at IS NOT NULL)""",
    "Thread {id} has more than one active run.": """
        SELECT r.thread_id AS id FROM runs r WHERE r.status IN ('running', 'waiting')
        GROUP BY r.thread_id HAVING count(*) > 1""",
    "Run {id} waits, but no question of it is open.": """
        SELECT r.id FROM runs r WHERE r.status = 'waiting'
            AND NOT EXISTS (SELECT 1 FROM questions q WHERE q.run_n = r.n AND q.status = 'open')""",
    "Run {id} has ended, but a question of it is still open.": """
        SELECT DISTINCT r.id FROM runs r JOIN questions q ON q.run_n = r.n AND q.status = 'open'
        WHERE r.status IN ('completed', 'failed', 'cancelled')""",
    "Message {id} follows one that is not there.": """
        SELECT m.id FROM messages m WHERE m.parent_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM messages p WHERE p.id = m.parent_id)""",
    "Thread {id} points at a message that is not there.": """
        SELECT t.id FROM threads t WHERE t.head_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = t.head_id)""",
}


def verify(connection: sqlite3.Connection) -> list[str]:
    """Return every broken invariant as a sentence; also what SQLite finds wrong with the file itself."""
    broken = [
        sentence.format(id=row["id"])
        for sentence, query in _CHECKS.items()
        for row in connection.execute(query)
    ]
    damage = [row[0] for row in connection.execute("PRAGMA quick_check(20)")]
    return broken + [f"The database file is damaged: {line}." for line in damage if line != "ok"]
