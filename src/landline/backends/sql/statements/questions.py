"""Questions, votes and the inbox. Whoever may answer sees the question, nothing else of the run (THR-2, RUN-9)."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

from landline.backends.sql.statements import owned

ANSWERABLE = f"({owned('r')} OR (:approver AND r.tenant = :tenant))"
"""The caller owns the run, or answers for others of its tenant."""

INSERT = """
INSERT INTO questions (id, run_n, tenant, key, status, body, expires_at)
SELECT :id, r.n, r.tenant, :key, 'open', :body, :expires_at FROM runs r WHERE r.n = :run_n
"""

SUPERSEDE = """
UPDATE questions SET status = 'closed' WHERE run_n = :run_n AND key = :key AND status = 'open' AND id <> :id
"""
"""A run that was cut down between asking and waiting asks again: the first asking would wait for ever."""

CLOSE = "UPDATE questions SET status = 'closed' WHERE run_n = :run_n AND status = 'open'"

SETTLE = "UPDATE questions SET status = 'settled', outcome = :outcome, answer = :answer WHERE n = :n"

VOTE = "INSERT INTO votes (question_n, user_id, at) VALUES (:n, :user, :at)"

OPEN_OF_RUN = "SELECT q.body FROM questions q WHERE q.run_n = :run_n AND q.status = 'open' ORDER BY q.n"

OF_RUN = """
SELECT q.n, q.id, q.status, q.body, q.expires_at FROM questions q WHERE q.run_n = :run_n ORDER BY q.n
"""

VOTES_OF_RUN = """
SELECT v.question_n, v.user_id FROM votes v JOIN questions q ON q.n = v.question_n WHERE q.run_n = :run_n
"""

RUN_TO_ANSWER = f"""
SELECT r.id, {owned("r")} AS own, r.tenant, r.user_id FROM runs r WHERE r.id = :id AND {ANSWERABLE}
"""

SETTLED = f"""
SELECT q.key, q.body, q.answer, q.outcome FROM runs r LEFT JOIN questions q ON q.run_n = r.n AND q.status = 'settled'
WHERE r.id = :id AND {owned("r")} ORDER BY q.n
"""

INBOX = f"""
SELECT q.body FROM questions q JOIN runs r ON r.n = q.run_n
WHERE q.status = 'open' AND r.status = 'waiting' AND (:system OR q.tenant = :tenant) AND q.id > :after AND {ANSWERABLE}
ORDER BY q.id LIMIT :limit
"""

EXPIRED = """
SELECT DISTINCT r.id, r.tenant, r.user_id FROM questions q JOIN runs r ON r.n = q.run_n
WHERE q.status = 'open' AND q.expires_at <= :at AND r.status = 'waiting' ORDER BY r.id
"""

NEXT_EXPIRY = """
SELECT min(q.expires_at) FROM questions q JOIN runs r ON r.n = q.run_n
WHERE q.status = 'open' AND q.expires_at IS NOT NULL AND r.status = 'waiting'
"""
