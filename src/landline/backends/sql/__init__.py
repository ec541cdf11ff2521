"""What the SQL backends share: tables, statements, rows, the rules of answers, migrations. No driver is imported here.

SQLAlchemy and Alembic are loaded only when a database has to be made or changed, never to serve one.
"""
