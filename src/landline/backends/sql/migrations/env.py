"""Run by Alembic for every command: hands it our connection. There is no offline mode and no alembic.ini."""

from alembic import context

from landline.backends.sql.tables import metadata


def run() -> None:
    """Run the asked revisions on the connection that `upgrade` was given."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        # SQLite's DDL is transactional once the connection begins by itself; Alembic assumes it is not.
        transactional_ddl=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
