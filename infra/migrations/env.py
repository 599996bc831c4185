"""Alembic's entry: it runs inside the transaction that `infra.ledger.migrate` opened."""

from alembic import context
from sqlalchemy import text

from infra.ledger.tables import metadata

_MIGRATORS = 7_395_500  # advisory lock: two processes that start together do not both create tables

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # an index over millions of rows takes minutes
    connection.execute(text("SET LOCAL lock_timeout = '5min'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATORS})"))
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
