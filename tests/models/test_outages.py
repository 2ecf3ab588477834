"""What is told from a wrong statement: a database that cannot be reached, a session that it has ended."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from models.database import ALL, Database
from models.outages import is_outage
from tests.support.processes import free_port


@pytest.mark.parametrize("takes_connections", [False, True])
async def test_a_server_that_cannot_be_reached_is_an_outage(takes_connections: bool) -> None:
    """Nobody listens, or, as behind a proxy whose server is gone, every connection is reset."""
    port, listener = free_port(), None
    if takes_connections:
        listener = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
    database = Database(f"postgresql://someone:hidden@127.0.0.1:{port}/x")
    with pytest.raises(OperationalError) as caught:
        async with database.read(ALL) as session:
            await session.execute(text("SELECT 1"))
    assert is_outage(caught.value)
    assert "hidden" not in str(caught.value)
    await database.close()
    if listener is not None:
        listener.close()


async def test_a_session_that_leaves_its_transaction_alone_keeps_its_locks_no_longer(postgres_url: str) -> None:
    """As of a machine that was lost: nobody closes the connection."""
    asleep, awake = Database(postgres_url, idle_seconds=0.2), Database(postgres_url)
    async with awake.write(ALL) as session:
        await session.execute(text("CREATE TABLE t (a integer)"))
        await session.execute(text("INSERT INTO t VALUES (1)"))
    locked = text("UPDATE t SET a = a + 1")

    async def falls_asleep() -> None:
        async with asleep.write(ALL) as session:
            await session.execute(locked)
            async with awake.write(ALL) as other:
                await other.execute(locked)
            await session.execute(locked)

    with pytest.raises(DBAPIError) as caught:
        await falls_asleep()
    assert is_outage(caught.value)
    async with awake.read(ALL) as session:
        assert await session.scalar(text("SELECT a FROM t")) == 2
    await asleep.close()
    await awake.close()
