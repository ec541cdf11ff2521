"""Runs, their events and journal. Every write to a log carries the owner's epoch and the run's state (REL-2)."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

COLUMNS = """r.n, r.id, r.thread_id, r.agent, r.status, r.created_at, r.output, r.message_id, r.model, r.usage,
    r.error, r.attempt, r.started_at, r.ended_at, r.metadata, r.routed_to"""

_CLAIM_COLUMNS = f"""{COLUMNS}, r.tenant, r.user_id, r.epoch, r.owner, r.input, r.parent_id, r.tail_id, r.settings,
    r.deadline_s, r.spent_s, r.needs_context, r.cancel_by, r.attempts_without_progress, r.carried, r.key_id,
    (SELECT coalesce(max(e.seq), 0) FROM events e WHERE e.run_n = r.n) AS last_seq"""

INSERT = """
INSERT INTO runs (id, thread_id, tenant, user_id, agent, status, epoch, owner, attempt, attempts_without_progress,
    rank, created_at, input, parent_id, tail_id, metadata, settings, deadline_s, spent_s, needs_context,
    routed_to, carried, key_id)
VALUES (:id, :thread_id, :tenant, :user, :agent, :status, :epoch, :owner, 1, 0, :rank, :at, :input, :parent_id,
    :tail_id, :metadata, :settings, :deadline_s, 0, :needs_context, :routed_to,
    :carried, :key_id)
"""

GET = f"SELECT {COLUMNS} FROM runs r WHERE r.id = :id AND {owned('r')}"

CLAIM = f"SELECT {_CLAIM_COLUMNS} FROM runs r WHERE r.id = :id AND {owned('r')}"

STATE = f"""
SELECT r.n, r.tenant, r.user_id, r.thread_id, r.key_id, r.agent, r.owner, r.tail_id, r.attempts_without_progress,
    EXISTS (SELECT 1 FROM runs q WHERE q.thread_id = r.thread_id AND q.status = 'queued') AS followed,
    EXISTS (SELECT 1 FROM questions q WHERE q.run_n = r.n AND q.status = 'open') AS asking
FROM runs r WHERE r.id = :id AND r.epoch = :epoch AND r.status = 'running' AND {owned("r")}
"""
"""The run, if it may be written under this epoch."""

TAKEN = "SELECT 1 FROM events WHERE run_n = :n AND seq BETWEEN :first AND :last LIMIT 1"

INSERT_EVENT = f"""
INSERT INTO events (run_n, seq, at, type, body)
SELECT r.n, :seq, :at, :type, :body FROM runs r
WHERE r.id = :id AND r.epoch = :epoch AND r.status = :expected AND {owned("r")}
"""

SETTLE = """
UPDATE runs SET started_at = coalesce(started_at, :started_at), usage = coalesce(:usage, usage),
    model = coalesce(:model, model), spent_s = coalesce(:spent_s, spent_s), tail_id = coalesce(:tail_id, tail_id),
    attempts_without_progress = CASE WHEN :progress THEN -1 ELSE attempts_without_progress END,
    status = coalesce(:status, status), ended_at = coalesce(:ended_at, ended_at), output = coalesce(:output, output),
    message_id = coalesce(:message_id, message_id), error = coalesce(:error, error)
WHERE n = :n AND epoch = :epoch AND status = 'running'
"""

GO_ON = """
UPDATE runs SET started_at = coalesce(started_at, :started_at), usage = coalesce(:usage, usage),
    model = coalesce(:model, model), spent_s = coalesce(:spent_s, spent_s), tail_id = coalesce(:tail_id, tail_id),
    attempts_without_progress = CASE WHEN :progress THEN -1 ELSE attempts_without_progress END
WHERE n = :n AND epoch = :epoch AND status = 'running'
"""
"""What a batch that settles nothing changes. A `status` that is set anew writes every index of it, also to what it was."""

END = """
UPDATE runs SET status = 'cancelled', ended_at = :at, cancel_by = :by WHERE n = :n AND status = 'queued'
"""

ASK_TO_CANCEL = "UPDATE runs SET cancel_by = coalesce(cancel_by, :by) WHERE n = :n AND status = 'running'"

TAKE = """
UPDATE runs SET status = 'running', epoch = epoch + 1, owner = :owner, attempt = attempt + :lost,
    attempts_without_progress = CASE WHEN :expected = 'waiting' THEN -1
        WHEN owner IS NOT NULL THEN attempts_without_progress + :lost
        WHEN attempts_without_progress < 0 THEN 0 ELSE attempts_without_progress END,
    parent_id = :parent_id, tail_id = :tail_id
WHERE n = :n AND status = :expected
"""
"""Claim a run: queued ones are promoted, waiting ones resumed, running ones taken over (`:lost` is then 1).

One that was let go of (`RELEASE`) begins another attempt, but the one before was not lost. An answer is progress: the
journal keeps it.
"""

RELEASE = """
UPDATE runs SET owner = NULL WHERE status = 'running' AND owner = :owner
    AND n IN (SELECT a.n FROM runs a WHERE a.status IN ('running', 'waiting'))
"""

FIRST_QUEUED = f"""
SELECT {_CLAIM_COLUMNS}, t.head_id FROM runs r JOIN threads t ON t.id = r.thread_id
WHERE r.thread_id = :thread_id AND r.status = 'queued' ORDER BY r.rank, r.n LIMIT 1
"""

ORPHANS = f"""
SELECT {_CLAIM_COLUMNS} FROM runs r
WHERE r.n IN (SELECT a.n FROM runs a WHERE a.status IN ('running', 'waiting'))
    AND r.status = 'running' AND (r.owner IS NULL OR r.owner <> :owner) ORDER BY r.n
"""
"""The inner query reads the partial index of active runs alone, so a start does not read every run there ever was."""

IDLE_THREADS = """
SELECT DISTINCT q.thread_id FROM runs q WHERE q.status = 'queued' AND NOT EXISTS
    (SELECT 1 FROM runs r WHERE r.thread_id = q.thread_id AND r.status IN ('running', 'waiting'))
ORDER BY q.thread_id
"""

UPSERT_RECORD = """
INSERT INTO journal (run_n, key, value) VALUES (:n, :key, :value)
ON CONFLICT (run_n, key) DO UPDATE SET value = excluded.value
"""

RECORDS = f"""
SELECT j.key, j.value FROM runs r LEFT JOIN journal j ON j.run_n = r.n WHERE r.id = :id AND {owned("r")}
"""

LATE_RESULT = f"""
INSERT INTO late_results (run_n, call_id, ok, at)
SELECT r.n, :call_id, :ok, :at FROM runs r WHERE r.id = :id AND {owned("r")}
ON CONFLICT (run_n, call_id) DO UPDATE SET ok = excluded.ok, at = excluded.at
"""
