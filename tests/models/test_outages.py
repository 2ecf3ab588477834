"""What is told from a wrong statement: a database that cannot be reached."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

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
