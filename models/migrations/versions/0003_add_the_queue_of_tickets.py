"""The queue of the task engine, on PostgreSQL alone: PgQueuer's own tables, made by its own statements.

They are run here and not by its installer: so one process at a time makes them, in the transaction of the revision.
What a later version of PgQueuer changes in them becomes a revision of its own; a test tells when that is due.
"""

from typing import Any

from alembic import op
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from models.tickets import NAMES

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        install(bind)


def downgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        _run(bind, _queue().build_uninstall_query())


def install(bind: Connection) -> None:
    """Makes the queue's tables, types, function and trigger, in the transaction that is under way."""
    _run(bind, _queue().build_install_query(create_schema=False))


def _queue() -> Any:
    # Not at the top: SQLite does without.
    from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
    from pgqueuer.domain.settings import DBSettings, Durability

    return QueryBuilderEnvironment(DBSettings(**NAMES, durability=Durability.balanced))


def _run(bind: Connection, script: str) -> None:
    """Many statements at once, which only the driver itself takes; in the transaction that is under way."""
    bind.exec_driver_sql("SELECT 1")  # SQLAlchemy begins a transaction of this driver with its first statement
    driver = bind.connection.driver_connection
    assert driver is not None
    await_only(driver.execute(script))
