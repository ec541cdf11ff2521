"""The tables, as SQLAlchemy Core metadata: what migrations are compared with and PostgreSQL is spoken to by.

Not imported to serve a SQLite database. Times are ISO text (text order is time order), JSON that SQL looks into is
text, other JSON is bytes. Every row that a caller can ask for carries its `tenant` and `user_id`.
"""

import sqlalchemy as sa

__all__ = ["metadata"]

metadata = sa.MetaData()

_ACTIVE = sa.text("status IN ('running', 'waiting')")
_QUEUED = sa.text("status = 'queued'")
_OPEN = sa.text("status = 'open'")


def _owner() -> tuple[sa.Column[str], sa.Column[str]]:
    return sa.Column("tenant", sa.Text, nullable=False), sa.Column("user_id", sa.Text, nullable=False)


def _run_n() -> sa.Column[int]:
    return sa.Column(
        "run_n", sa.Integer, sa.ForeignKey("runs.n", ondelete="CASCADE"), nullable=False, primary_key=True
    )


sa.Table(
    "meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

threads = sa.Table(
    "threads",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *_owner(),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("head_id", sa.Text),
    # The last message a fork shares with the thread it was made from; its own rows come below.
    sa.Column("base_id", sa.Text),
    sa.Column("message_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Index("threads_by_owner", "tenant", "user_id", "updated_at", "id"),
    sa.Index(
        "threads_by_base",
        "base_id",
        sqlite_where=sa.text("base_id IS NOT NULL"),
        postgresql_where=sa.text("base_id IS NOT NULL"),
    ),
)

# No foreign key to threads: rows that a fork shares outlive the thread they were written in.
messages = sa.Table(
    "messages",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("thread_id", sa.Text, nullable=False),
    *_owner(),
    sa.Column("run_id", sa.Text),
    sa.Column("parent_id", sa.Text),
    sa.Column("seq", sa.Integer, nullable=False),
    # A lane is a chain of messages without a branch, named after its first; depth counts from the root, from 1.
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("depth", sa.Integer, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("parts", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("metadata", sa.LargeBinary, nullable=False),
    sa.Column("native", sa.LargeBinary),
    sa.Index("messages_by_thread", "thread_id", "seq", unique=True),
    sa.Index("messages_by_lane", "lane", "depth", unique=True),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("thread_id", sa.Text, sa.ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    *_owner(),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempts_without_progress", sa.Integer, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("ended_at", sa.Text),
    sa.Column("input", sa.LargeBinary),
    sa.Column("parent_id", sa.Text),
    # The last message on this run's branch: where its next message goes.
    sa.Column("tail_id", sa.Text),
    sa.Column("output", sa.LargeBinary),
    sa.Column("message_id", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("usage", sa.LargeBinary),
    sa.Column("error", sa.LargeBinary),
    sa.Column("metadata", sa.LargeBinary, nullable=False),
    sa.Column("settings", sa.LargeBinary, nullable=False),
    sa.Column("deadline_s", sa.Float),
    sa.Column("spent_s", sa.Float, nullable=False),
    sa.Column("needs_context", sa.Boolean, nullable=False),
    sa.Column("cancel_by", sa.Text),
    sa.Column("routed_to", sa.Text),
    sa.Column("carried", sa.LargeBinary),
    sa.Column("key_id", sa.Text),
    sa.Index("runs_by_owner", "tenant", "user_id", "id"),
    sa.Index("runs_by_thread", "thread_id", "id"),
    # One active run per thread, whatever the code above believes (REL-5).
    sa.Index("runs_active", "thread_id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    sa.Index("runs_queued", "thread_id", "rank", "n", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
)

events = sa.Table(
    "events",
    metadata,
    _run_n(),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

journal = sa.Table(
    "journal",
    metadata,
    _run_n(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

questions = sa.Table(
    "questions",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("run_n", sa.Integer, sa.ForeignKey("runs.n", ondelete="CASCADE"), nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    # open, settled (has an outcome), closed (its run ended, or it was asked again)
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("expires_at", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("answer", sa.LargeBinary),
    sa.Index("questions_by_run", "run_n"),
    sa.Index("questions_open", "tenant", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    sa.Index("questions_expiring", "expires_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("question_n", sa.Integer, sa.ForeignKey("questions.n", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_hash", sa.Text, nullable=False),
    sa.Column("target_id", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Index("idempotency_by_age", "at"),
    sqlite_with_rowid=False,
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *_owner(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

documents = sa.Table(
    "documents",
    metadata,
    # Rises with each write, so its order is the order of writing.
    sa.Column("n", sa.Integer, primary_key=True),
    *_owner(),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("documents_by_key", "tenant", "user_id", "collection", "key", unique=True),
    sa.Index("documents_by_label", "tenant", "user_id", "collection", "label", "n"),
    sa.Index("documents_by_writing", "tenant", "user_id", "collection", "n"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *_owner(),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text),
    sa.Column("revoked_at", sa.Text),
    sa.Column("last_used_at", sa.Text),
    sa.Column("agents", sa.LargeBinary),
    sa.Column("tier", sa.Text, server_default="free", nullable=False),
    sa.Column("limits", sa.LargeBinary),
    sa.Column("replaces", sa.Text),
    sa.Index("api_keys_by_prefix", "prefix"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("password_hash", sa.Text),
    sa.Column("roles", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("disabled_at", sa.Text),
    # Wrong passwords since the last right one, and until when no password is right.
    sa.Column("failed_count", sa.Integer, nullable=False),
    sa.Column("locked_until", sa.Text),
    sa.Index("users_by_name", "tenant", "name", unique=True),
)

late_results = sa.Table(
    "late_results",
    metadata,
    _run_n(),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("ok", sa.Boolean, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

audit = sa.Table(
    "audit",
    metadata,
    # Rises with each entry. Triggers refuse changes, and removal but by a pruning, which is an entry itself (TRU-18).
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("at", sa.Text, nullable=False),
    *_owner(),
    sa.Column("key_id", sa.Text),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("remote", sa.Text),
    sa.Column("details", sa.Text, nullable=False),
    sa.Index("audit_by_tenant", "tenant", "n"),
    sa.Index("audit_by_time", "at"),
)

# Sums, not facts: the log has those. No foreign keys: what was used stays used when a thread is deleted.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("thread_id", sa.Text, nullable=False),
    # Empty when there was none or nobody knows it: NULLs would not be equal in the index.
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("model_calls", sa.Integer, nullable=False),
    sa.Column("unpriced_calls", sa.Integer, nullable=False),
    sa.Column("tool_calls", sa.Integer, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Index(
        "usage_by_place", "tenant", "day", "user_id", "thread_id", "key_id", "agent", "model", unique=True
    ),
    sa.Index("usage_by_thread", "thread_id"),
)
