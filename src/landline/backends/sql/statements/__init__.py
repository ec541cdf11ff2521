"""The SQL that both dialects run, as text with named parameters (`:name`, the form sqlite3 and SQLAlchemy share).

Text and not Core expressions: compiling those would load SQLAlchemy (half a second) into every start, and each of
these is prepared once and then found in the driver's statement cache. A test prepares every statement against the
migrated schema. The owner's condition is part of every statement that takes a caller (THR-2).
"""

__all__ = ["owned"]


def owned(alias: str) -> str:
    """Return the condition that a row is the caller's own; `:system` sees all."""
    return f"(:system OR ({alias}.tenant = :tenant AND {alias}.user_id = :user))"
