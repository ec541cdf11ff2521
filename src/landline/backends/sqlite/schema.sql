-- What the migrations up to 0006 leave on SQLite, as text; see schema.py. A test holds the two equal.

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE api_keys (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes BLOB NOT NULL,
    name TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    last_used_at TEXT,
    agents BLOB,
    tier TEXT DEFAULT 'free' NOT NULL,
    limits BLOB,
    replaces TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX api_keys_by_prefix ON api_keys (prefix);
CREATE TABLE audit (
    n INTEGER NOT NULL,
    id TEXT NOT NULL,
    at TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT,
    roles TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT,
    outcome TEXT NOT NULL,
    request_id TEXT,
    remote TEXT,
    details TEXT NOT NULL,
    PRIMARY KEY (n),
    UNIQUE (id)
);

CREATE INDEX audit_by_tenant ON audit (tenant, n);
CREATE INDEX audit_by_time ON audit (at);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id OR n = NEW.n) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
    WHEN OLD.action = 'audit.prune' OR OLD.at >= coalesce((SELECT value FROM meta WHERE key = 'audit_pruned_before'), '')
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE documents (
    n INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    collection TEXT NOT NULL,
    "key" TEXT NOT NULL,
    label TEXT,
    version TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (n)
);

CREATE UNIQUE INDEX documents_by_key ON documents (tenant, user_id, collection, "key");
CREATE INDEX documents_by_label ON documents (tenant, user_id, collection, label, n);
CREATE INDEX documents_by_writing ON documents (tenant, user_id, collection, n);
CREATE TABLE files (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    route TEXT NOT NULL,
    "key" TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    target_id TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id, route, "key")
)
 WITHOUT ROWID

;

CREATE INDEX idempotency_by_age ON idempotency (at);
CREATE TABLE meta (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
);

CREATE TABLE messages (
    n INTEGER NOT NULL,
    id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    run_id TEXT,
    parent_id TEXT,
    seq INTEGER NOT NULL,
    lane TEXT NOT NULL,
    depth INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    parts BLOB NOT NULL,
    created_at TEXT NOT NULL,
    metadata BLOB NOT NULL,
    native BLOB,
    PRIMARY KEY (n),
    UNIQUE (id)
);

CREATE UNIQUE INDEX messages_by_lane ON messages (lane, depth);
CREATE UNIQUE INDEX messages_by_thread ON messages (thread_id, seq);
CREATE TABLE threads (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    title TEXT,
    metadata TEXT NOT NULL,
    pinned BOOLEAN NOT NULL,
    archived BOOLEAN NOT NULL,
    head_id TEXT,
    base_id TEXT,
    message_count INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX threads_by_base ON threads (base_id) WHERE base_id IS NOT NULL;
CREATE INDEX threads_by_owner ON threads (tenant, user_id, updated_at, id);
CREATE TABLE users (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    password_hash TEXT,
    roles BLOB NOT NULL,
    created_at TEXT NOT NULL,
    disabled_at TEXT,
    failed_count INTEGER NOT NULL,
    locked_until TEXT,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX users_by_name ON users (tenant, name);
CREATE TABLE runs (
    n INTEGER NOT NULL,
    id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    status TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    attempt INTEGER NOT NULL,
    attempts_without_progress INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    input BLOB,
    parent_id TEXT,
    tail_id TEXT,
    output BLOB,
    message_id TEXT,
    model TEXT,
    usage BLOB,
    error BLOB,
    metadata BLOB NOT NULL,
    settings BLOB NOT NULL,
    deadline_s FLOAT,
    spent_s FLOAT NOT NULL,
    needs_context BOOLEAN NOT NULL,
    cancel_by TEXT,
    routed_to TEXT,
    carried BLOB,
    key_id TEXT,
    PRIMARY KEY (n),
    FOREIGN KEY(thread_id) REFERENCES threads (id) ON DELETE CASCADE,
    UNIQUE (id)
);

CREATE UNIQUE INDEX runs_active ON runs (thread_id) WHERE status IN ('running', 'waiting');
CREATE INDEX runs_by_owner ON runs (tenant, user_id, id);
CREATE INDEX runs_by_thread ON runs (thread_id, id);
CREATE INDEX runs_queued ON runs (thread_id, rank, n) WHERE status = 'queued';
CREATE TABLE events (
    run_n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    type TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run_n, seq),
    FOREIGN KEY(run_n) REFERENCES runs (n) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE TABLE journal (
    run_n INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (run_n, "key"),
    FOREIGN KEY(run_n) REFERENCES runs (n) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE TABLE late_results (
    run_n INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    ok BOOLEAN NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (run_n, call_id),
    FOREIGN KEY(run_n) REFERENCES runs (n) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE TABLE questions (
    n INTEGER NOT NULL,
    id TEXT NOT NULL,
    run_n INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    "key" TEXT NOT NULL,
    status TEXT NOT NULL,
    body BLOB NOT NULL,
    expires_at TEXT,
    outcome TEXT,
    answer BLOB,
    PRIMARY KEY (n),
    FOREIGN KEY(run_n) REFERENCES runs (n) ON DELETE CASCADE,
    UNIQUE (id)
);

CREATE INDEX questions_by_run ON questions (run_n);
CREATE INDEX questions_expiring ON questions (expires_at) WHERE status = 'open';
CREATE INDEX questions_open ON questions (tenant, id) WHERE status = 'open';
CREATE TABLE usage (
    n INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    day TEXT NOT NULL,
    user_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    runs INTEGER NOT NULL,
    model_calls INTEGER NOT NULL,
    unpriced_calls INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_usd FLOAT,
    seconds FLOAT NOT NULL,
    PRIMARY KEY (n)
);

CREATE UNIQUE INDEX usage_by_place ON usage (tenant, day, user_id, thread_id, key_id, agent, model);
CREATE INDEX usage_by_thread ON usage (thread_id);
CREATE TABLE votes (
    question_n INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (question_n, user_id),
    FOREIGN KEY(question_n) REFERENCES questions (n) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE VIRTUAL TABLE search USING fts5(content, content='messages', content_rowid='n');
