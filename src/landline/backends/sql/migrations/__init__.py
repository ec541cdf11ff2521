"""The schema's versions. Alembic is imported by `upgrade` alone: a database at `HEAD` starts without it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy

__all__ = ["HEAD", "REVISIONS", "upgrade"]

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision this build knows, oldest first; a database at any other was written by a newer build."""

HEAD = REVISIONS[-1]


def upgrade(connection: "sqlalchemy.Connection", revision: str = "head") -> None:
    """Bring the database to `revision`; each step is one transaction, so a killed upgrade is simply repeated."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
