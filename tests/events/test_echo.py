"""A channel that is dead without an error, and what waits in this process: unit tests of what servers cannot show."""

import asyncio
import logging

import pytest

from sluicegate.core.metrics import EVENTS_DROPPED
from sluicegate.events.backend import Inbox, Lost, ServerBackend
from sluicegate.events.channel import ServerChannel
from sluicegate.events.echo import Echo
from sluicegate.events.failures import ChannelError
from sluicegate.events.messages import RESYNC, Kind, Message, parse, without_body
from sluicegate.events.missed import MAX_ROWS, Missed
from tests.events.rows import Counter, Table, Wire, running_hub, turns, until


async def test_a_channel_that_carries_nothing_is_found_out_and_made_anew() -> None:
    table, wire = Table(Counter(1, 0)), Wire(local=False)
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        assert hub.stats.connected
        wire.deaf = True
        await until(lambda: not hub.stats.connected)
        table.advance()
        assert (await anext(changes)).revision == 1
        table.advance()
        assert (await anext(changes)).revision == 2  # again and again, not once
        wire.deaf = False
        await until(lambda: hub.stats.connected)
        assert hub.stats.reconnects == 1
        assert wire.connections >= 2


async def test_a_publication_that_hangs_holds_nobody_up() -> None:
    table, wire = Table(Counter(1, 0)), Wire(local=False)
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        wire.stuck = True
        await hub.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [1]
        wire.stuck = False
        await until(lambda: len(wire.sent) == 1 and hub.stats.connected)


async def test_a_channel_within_the_process_gets_no_echoes() -> None:
    wire = Wire()
    async with running_hub(Table(), wire, echo_seconds=0.001) as hub:
        await turns()
        assert hub.stats.connected
        wire.deaf = True
        await asyncio.gather(*(turns(100) for _ in range(3)))
        assert hub.stats.connected
        assert wire.connections == 1


async def test_an_outage_is_logged_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(local=False)
    with caplog.at_level(logging.INFO):
        async with running_hub(Table(), wire) as hub:
            wire.inject("cut")
            wire.refuse = True
            await until(lambda: "cut" in caplog.text)
            await hub.publish("counter", Counter(1, 1))
            await until(lambda: "refused" in caplog.text)
            await turns(500)
            wire.refuse = False
            await until(lambda: hub.stats.connected)
    ours = [record.getMessage() for record in caplog.records if record.name == "sluicegate.events.hub"]
    assert [text.rpartition(" ")[2] for text in ours] == ["cut", "refused", "again."]


async def test_only_its_own_newest_echo_counts() -> None:
    echo, other = Echo(0.01), Echo(0.01)
    sent: list[Message] = []

    async def publish(message: Message) -> None:
        sent.append(message)
        echo.hear(other.next().body)
        echo.hear("")

    heard: list[bool] = []
    with pytest.raises(ChannelError, match="did not come back"):
        await echo.prove(publish, lambda: heard.append(True))
    assert len(sent) == 1
    assert not heard
    assert parse(sent[0].encoded()) == sent[0]
    echo.next()
    echo.hear(sent[0].body)  # late
    with pytest.raises(ChannelError):
        await echo.prove(lambda _: turns(1), lambda: heard.append(True))
    assert not heard


async def test_too_many_messages_are_dropped_for_one_that_says_so() -> None:
    before = EVENTS_DROPPED.labels("incoming")._value.get()
    inbox = Inbox(limit=10)
    for number in range(15):
        inbox.put(str(number))
    assert [await inbox.take() for _ in range(6)] == [RESYNC.encoded(), "10", "11", "12", "13", "14"]
    assert EVENTS_DROPPED.labels("incoming")._value.get() - before == 10
    inbox.put("last")
    inbox.lose(ChannelError("first"))
    inbox.lose(ChannelError("second"))
    assert await inbox.take() == "last"
    with pytest.raises(ChannelError, match="first"):
        await inbox.take()


class Flood(ServerBackend):
    """A server that has sent more than anybody can take."""

    async def _open(self) -> None:
        for number in range(5_000):
            self._inbox.put(str(number))

    async def _close(self) -> None:
        pass

    async def _send(self, channel: str, message: str) -> None:
        if message == "hang":
            await asyncio.Event().wait()
        raise OSError("broken")


async def test_what_nobody_takes_does_not_pile_up_in_broadcaster() -> None:
    backend = Flood("c")
    channel = ServerChannel(lambda: backend, "c")
    async with channel.subscribe() as texts:
        await turns(2_000)
        assert len(backend._inbox._texts) > 4_000
        assert [await anext(texts) for _ in range(5_000)] == [str(number) for number in range(5_000)]


async def test_a_failed_publication_ends_the_subscription() -> None:
    channel = ServerChannel(lambda: Flood("c"), "c")
    async with channel.subscribe() as texts:
        with pytest.raises(ChannelError, match="connection to the event channel's server failed"):
            await channel.publish("x")
        with pytest.raises(ChannelError, match="failed"):
            _ = [text async for text in texts]


async def test_a_publication_that_is_given_up_ends_the_subscription() -> None:
    channel = ServerChannel(lambda: Flood("c"), "c")
    async with channel.subscribe() as texts:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.publish("hang"), 0.01)
        with pytest.raises(ChannelError, match="did not answer in time"):
            _ = [text async for text in texts]


async def test_a_lost_backend_says_so_once_and_then_nothing() -> None:
    backend = Flood("c")
    backend._inbox.lose(ChannelError("gone"))
    event = await backend.next_published()
    assert isinstance(event, Lost)
    assert event.error.message == "gone"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backend.next_published(), 0.01)


async def test_of_too_many_missed_rows_everything_is_read() -> None:
    missed = Missed()
    missed.row("counter", 1)
    assert await missed.wait(None)
    assert missed.take() == {("counter", 1)}
    for number in range(MAX_ROWS + 1):
        missed.row("counter", number)
    assert missed.take() is None
    assert missed.take() == set()
    assert not await missed.wait(0)
    missed.everything()
    assert await missed.wait(0)
    assert missed.take() is None


def test_a_message_without_its_body_keeps_its_header() -> None:
    message = Message("counter", 1, 2, Kind.LAST, '{"label":"a:b"}')
    assert without_body(message.encoded()) == message._replace(body="").encoded()
    assert without_body("x" * 9_000) == RESYNC.encoded()
