"""Why a database is refused at start: each with a sentence that says what to do."""

from landline.model.errors import Unavailable

__all__ = ["DatabaseLocked", "DatabaseNewer", "DatabaseUnreadable"]


class DatabaseNewer(Unavailable):
    """A newer Landline wrote this database; this one would misread it (REL-12)."""

    code = "database_newer"


class DatabaseLocked(Unavailable):
    """Another process serves this database (SCL-1)."""

    code = "database_locked"


class DatabaseUnreadable(Unavailable):
    """The file is there but is no database of Landline's."""

    code = "database_unreadable"
