"""Documents. Each belongs to one tenant and user; nobody else sees it, not even the system."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

_COLUMNS = "d.key, d.body, d.version, d.label"

_OWN = "d.tenant = :tenant AND d.user_id = :user AND d.collection = :collection"

GET = f"SELECT {_COLUMNS} FROM documents d WHERE {_OWN} AND d.key = :key"

VERSION = f"SELECT d.version FROM documents d WHERE {_OWN} AND d.key = :key"

LIST = f"SELECT {_COLUMNS} FROM documents d WHERE {_OWN} ORDER BY d.n DESC LIMIT :limit"

LIST_LABELLED = f"""
SELECT {_COLUMNS} FROM documents d WHERE {_OWN} AND d.label = :label ORDER BY d.n DESC LIMIT :limit
"""

DELETE = f"DELETE FROM documents AS d WHERE {_OWN} AND d.key = :key"

INSERT = """
INSERT INTO documents (tenant, user_id, collection, key, label, version, body)
VALUES (:tenant, :user, :collection, :key, :label, :version, :body)
"""
"""After `DELETE`: the new row gets a number above all others, which makes it the last written."""
