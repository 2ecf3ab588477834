"""The channels between processes, on real servers: two hubs in one test stand for two processes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from sluicegate.core.errors import ConfigurationError
from sluicegate.events import Change, ChangeKind, End, Hub
from sluicegate.events.channel import Channel, open_channel
from sluicegate.events.failures import ChannelError
from sluicegate.events.messages import Kind, Message, dumps
from tests.events.rows import Counter, Table, until
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.valkey import ValkeyServer

ECHO_SECONDS = 0.4


@asynccontextmanager
async def two_hubs(table: Table, url: str) -> AsyncGenerator[tuple[Hub, Hub]]:
    """Two processes of one installation, which share the table."""
    hubs = [Hub(url, [table.topic], poll_seconds=0.05, echo_seconds=ECHO_SECONDS) for _ in range(2)]
    await asyncio.gather(*(hub.start() for hub in hubs))
    try:
        yield hubs[0], hubs[1]
    finally:
        await asyncio.gather(*(hub.close() for hub in hubs))


def new_url(url: str, name: str) -> str:
    """The address with a channel that no other test listens to."""
    return f"{url}?channel=test.{name}"


@pytest.fixture(params=["valkey", "postgresql"])
async def channel_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A channel of each kind, of this test alone."""
    if request.param == "valkey":
        server: ValkeyServer = request.getfixturevalue("valkey")
        yield new_url(server.url, uuid4().hex)
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = await postgres.create_database()
    yield url
    await postgres.drop_database(url)


class Server:
    """A server of the test's own, whichever kind, that can be killed and started again."""

    def __init__(self, server: ValkeyServer | PostgresServer) -> None:
        self._server = server
        self.port = server.port

    @property
    def url(self) -> str:
        return self._server.url if isinstance(self._server, ValkeyServer) else self._server.url()

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)


@pytest.fixture(params=[ValkeyServer, PostgresServer])
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        yield Server(server)


async def test_what_one_process_publishes_another_shows_in_order_until_the_last(channel_url: str) -> None:
    table = Table(Counter(1, 0))
    seen: list[int] = []
    async with two_hubs(table, channel_url) as (here, there), here.watch("counter", 1) as changes:
        assert here.stats.connected
        assert there.stats.connected
        table.reads = 0
        async for state in changes:
            seen.append(state.revision)
            if state.revision < 20:
                await there.publish("counter", table.advance(finished=state.revision == 19))
        assert changes.end is End.FINISHED
        assert seen == list(range(21))
        assert here.stats.received == 20
        assert here.stats.malformed == there.stats.malformed == 0


async def test_many_publish_at_the_same_time(channel_url: str) -> None:
    table = Table(*(Counter(number, 0) for number in range(1, 51)))
    channel = open_channel(channel_url)
    async with two_hubs(table, channel_url) as (here, _), channel.subscribe():

        async def run(number: int) -> list[int]:
            async with here.watch("counter", number) as changes:
                assert (await anext(changes)).revision == 0
                row = table.advance(number, by=7, finished=True)
                message = Message("counter", number, row.revision, Kind.LAST, dumps(vars(row)))
                await channel.publish(message.encoded())
                return [state.revision async for state in changes]

        assert await asyncio.gather(*(run(number) for number in table.rows)) == [[7]] * 50


@pytest.mark.parametrize(
    "label", ["é😀\u2028\u2029", "a\nb\r\n\tc", "\0\x1b", "'; NOTIFY x; --", "$1 %s {} ::", "\ud800"]
)
async def test_any_text_arrives_as_it_was(channel_url: str, label: str) -> None:
    table = Table(Counter(1, 0))
    async with two_hubs(table, channel_url) as (here, there), here.watch("counter", 1) as changes:
        await anext(changes)
        await there.publish("counter", table.advance(finished=True, label=label))
        assert [state.label async for state in changes] == [label]
        assert here.stats.malformed == 0


@pytest.mark.parametrize("size", [7_000, 8_100, 300_000])
async def test_a_state_of_any_size_arrives(channel_url: str, size: int) -> None:
    table = Table(Counter(1, 0), Counter(2, 0))
    async with (
        two_hubs(table, channel_url) as (here, there),
        here.watch("counter", 1) as changes,
        here.watch("counter", 1) as others,
        here.watch_list("counter", ListOfAll(table)) as rows,
    ):
        assert [(await anext(rows)).kind for _ in range(3)] == [ChangeKind.SNAPSHOT] * 2 + [ChangeKind.SNAPSHOT_END]
        await anext(changes)
        await anext(others)
        table.reads = 0
        row = table.advance(finished=True, label="ü" * (size // 2))
        await there.publish("counter", row)
        assert [state async for state in changes] == [state async for state in others] == [row]
        assert await anext(rows) == Change(ChangeKind.FINISHED, 1, row)
        await until(lambda: here.stats.received == 1)
        carried = size < 8_000 or channel_url.startswith("redis")
        assert table.reads == (0 if carried else 1)
        assert here.stats.malformed == 0


class ListOfAll:
    def __init__(self, table: Table) -> None:
        self._table = table

    def selects(self, state: Counter, /) -> bool:
        return True

    async def first(self) -> list[Counter]:
        return list(self._table.rows.values())

    async def read(self, ids: Sequence[int]) -> list[Counter]:
        return [self._table.rows[number] for number in ids if number in self._table.rows]


async def test_messages_of_others_are_counted_and_do_no_harm(valkey: ValkeyServer) -> None:
    table = Table(Counter(1, 0))
    async with (
        two_hubs(table, new_url(valkey.url, "foreign")) as (here, there),
        here.watch("counter", 1) as changes,
        Redis.from_url(valkey.url, protocol=2) as stranger,
    ):
        await anext(changes)
        for body in (b"\xff\xfe", b"", b"hello", b"counter:1:9:?:{}", b"a:b:c:d:e"):
            await stranger.publish("test.foreign", body)
        await there.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [1]
        assert here.stats.malformed == 5
        assert here.stats.reconnects == 0


async def test_installations_on_one_server_do_not_hear_each_other(valkey: ValkeyServer) -> None:
    table = Table(Counter(1, 0))
    async with (
        two_hubs(table, new_url(valkey.url, "one")) as (here, there),
        two_hubs(table, new_url(valkey.url, "two")) as (other, _),
        here.watch("counter", 1) as changes,
    ):
        await anext(changes)
        await there.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [1]
        assert other.stats.received == 0


async def test_a_socket_of_the_machine_is_an_address_too(valkey: ValkeyServer) -> None:
    table = Table(Counter(1, 0))
    async with two_hubs(table, new_url(valkey.socket_url, "socket")) as (here, there):
        async with here.watch("counter", 1) as changes:
            await there.publish("counter", table.advance(finished=True))
            assert [state.revision async for state in changes][-1] == 1
        assert here.stats.connected


@pytest.mark.slow
async def test_watchers_live_through_the_death_of_the_server(own_server: Server) -> None:
    table = Table(Counter(1, 0), Counter(2, 0))
    async with (
        two_hubs(table, own_server.url) as (here, there),
        here.watch("counter", 1) as changes,
        here.watch("counter", 2) as other,
    ):
        await anext(changes)
        await anext(other)
        await own_server.kill()
        await there.publish("counter", table.advance(1))
        assert (await anext(changes)).revision == 1  # while there is no server
        assert not here.stats.connected
        await there.publish("counter", table.advance(2, finished=True))
        assert [state.revision async for state in other] == [1]
        await own_server.start()
        await until(lambda: here.stats.connected and there.stats.connected)
        assert here.stats.reconnects == 1
        received = here.stats.received
        await there.publish("counter", table.advance(1, finished=True))
        assert [state.revision async for state in changes] == [2]
        await until(lambda: here.stats.received > received)


@pytest.mark.slow
async def test_a_server_that_hangs_is_found_out_and_watchers_still_see_states(caplog: pytest.LogCaptureFixture) -> None:
    table = Table(Counter(1, 0))
    with ValkeyServer(password="p@ss/word?") as server:
        url = server.url.replace("p@ss/word?", "p%40ss%2Fword%3F")
        async with two_hubs(table, url) as (here, there), here.watch("counter", 1) as changes:
            await anext(changes)
            server.pause()
            for expected in (1, 2, 3):
                await there.publish("counter", table.advance())
                assert (await anext(changes)).revision == expected
            assert not here.stats.connected
            server.resume()
            await until(lambda: here.stats.connected and there.stats.connected)
            table.before_read = fail  # from here on only the channel can tell
            await until(lambda: here.stats.connected)
            await there.publish("counter", table.advance(finished=True))
            assert [state.revision async for state in changes] == [4]
    assert "did not" in caplog.text
    assert "word" not in caplog.text.replace("password", "")


async def fail() -> None:
    raise OSError("the database is away")


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Proxy.reset, Proxy.swallow])
async def test_a_network_that_fails_costs_seconds_and_nothing_else(
    own_server: Server, fault: Callable[[Proxy], None]
) -> None:
    table = Table(Counter(1, 0))
    async with Proxy(own_server.port) as proxy:
        url = own_server.url.replace(str(own_server.port), str(proxy.port))
        async with two_hubs(table, url) as (here, there), here.watch("counter", 1) as changes:
            await anext(changes)
            fault(proxy)
            await there.publish("counter", table.advance())
            assert (await anext(changes)).revision == 1
            await there.publish("counter", table.advance(finished=True))
            assert [state.revision async for state in changes] == [2]
            proxy.flow()
            await until(lambda: min(here.stats.reconnects, there.stats.reconnects) == 1)


@pytest.mark.slow
async def test_a_killed_listener_of_postgresql_is_replaced(postgres_url: str) -> None:
    table = Table(Counter(1, 0))
    async with two_hubs(table, postgres_url) as (here, there), here.watch("counter", 1) as changes:
        await anext(changes)
        administrator = await asyncpg.connect(postgres_url)
        killed = await administrator.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        await administrator.close()
        assert len(killed) == 2
        await there.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [1]
        await until(lambda: here.stats.reconnects == there.stats.reconnects == 1)


async def test_a_wrong_password_is_told_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with ValkeyServer(password="right") as server:
        url = server.url.replace("right", "hunter2")
        with pytest.raises(ChannelError, match="refused the user or the password") as raised:
            async with open_channel(url).subscribe():
                pass
        assert "percent-encoded" in str(raised.value.hint)
        hub = Hub(url, [Table().topic], poll_seconds=0.01)
        starting = asyncio.create_task(hub.start())
        with caplog.at_level(logging.DEBUG):
            await until(lambda: "refused the user" in caplog.text)
        await hub.close()
        starting.cancel()
    assert "hunter2" not in caplog.text + repr(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:hunter2@127.0.0.1:1", "Nothing listens"),
        ("postgresql://user:hunter2@127.0.0.1:1/x", "Nothing listens"),
        ("redis://:hunter2@no-such-host.invalid", "no address"),
        ("postgresql://user:hunter2@no-such-host.invalid/x", "no address"),
    ],
)
async def test_a_server_that_is_not_there_is_told(url: str, message: str) -> None:
    channel: Channel = open_channel(url)
    with pytest.raises(ChannelError, match=message) as raised:
        async with channel.subscribe():
            pass
    assert "hunter2" not in f"{raised.value} {raised.value.hint}"
    with pytest.raises(ChannelError, match="not connected"):
        await channel.publish("x")


async def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    with pytest.raises(ChannelError, match="no such database"):
        async with open_channel(postgres.url("nowhere")).subscribe():
            pass


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/x@host:6379", "redis://host?socket_timeout=1", "redis://host?ssl_nonsense=1",
        "redis://host?channel=a%20b", "postgresql://host/x?channel=", "redis://[hunter2", "kafka://:hunter2@host",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_right_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_channel(url)
    assert raised.value.hint
    assert "hunter2" not in f"{raised.value} {raised.value.hint} {raised.value.__cause__}"
