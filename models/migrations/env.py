"""How alembic runs the revisions: on the connection, and in the transaction, that `models.migrate` gives it."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from models.base import Base


def run(connection: Connection) -> None:
    """Applies what alembic was asked for."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite alters a table by copying it.
        render_as_batch=connection.dialect.name == "sqlite",
        user_module_prefix="models.base.",
    )
    context.run_migrations()


run(context.config.attributes["connection"])
