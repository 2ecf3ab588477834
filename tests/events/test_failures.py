import asyncio

import pytest

from sluicegate.core.errors import ConfigurationError
from sluicegate.events import Hub
from sluicegate.events.messages import RESYNC, Kind, Message
from sluicegate.events.outbox import Outbox
from tests.events.rows import Counter, Table, Wire, running_hub, turns, until


@pytest.mark.parametrize("fault", ["cut", "end"])
async def test_a_lost_subscription_is_made_again_and_what_was_missed_is_read(fault: str) -> None:
    table, wire = Table(Counter(1, 0)), Wire()
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        assert (await anext(changes)).revision == 0
        wire.deaf = True
        await hub.publish("counter", table.advance())
        if fault == "cut":
            wire.inject("cut")
        else:
            wire.end()
        assert (await anext(changes)).revision == 1
        await until(lambda: hub.stats.connected)
        wire.deaf = False
        await hub.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [2]
        assert wire.connections == 2


@pytest.mark.parametrize("fault", ["refuse", "hang"])
async def test_while_the_channel_is_down_the_watched_rows_are_read_again_and_again(fault: str) -> None:
    table, wire = Table(Counter(1, 0), Counter(2, 0)), Wire()
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        setattr(wire, fault, True)
        wire.inject("cut")
        for expected in range(1, 4):
            table.advance()
            assert (await anext(changes)).revision == expected
            assert not hub.stats.connected
        del table.rows[1]
        assert [state async for state in changes] == []


async def test_rows_that_cannot_be_read_are_read_again() -> None:
    table, wire = Table(Counter(1, 0)), Wire()
    failures = 0
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)

        async def fail_twice() -> None:
            nonlocal failures
            failures += 1
            if failures <= 2:
                raise OSError("the database is away")

        table.before_read = fail_twice
        table.advance()
        wire.inject(RESYNC)
        assert (await anext(changes)).revision == 1
        assert failures == 3
        assert hub.stats.connected


async def test_a_read_that_fails_reaches_the_one_who_starts_to_watch() -> None:
    table = Table(Counter(1, 0))

    async def fail() -> None:
        raise OSError("the database is away")

    table.before_read = fail
    async with running_hub(table) as hub:
        with pytest.raises(OSError, match="away"):
            async with hub.watch("counter", 1):
                pass
        assert hub.stats.watchers == 0


async def test_messages_that_cannot_be_understood_do_not_end_the_stream() -> None:
    table, wire = Table(Counter(1, 0)), Wire()
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        for text in ("", "counter", "counter:one:2:s:{}", "counter:1:2:?:{}", "::::", "unknown:1:1:s:{}"):
            wire.inject(text)
        await hub.publish("counter", table.advance(finished=True))
        assert [state.revision async for state in changes] == [1]
        assert hub.stats.malformed == 5


@pytest.mark.parametrize("body", ["{", '{"id": 1, "other": 2}', "[]", "null"])
async def test_a_state_that_cannot_be_decoded_is_read_from_its_row(body: str) -> None:
    table, wire = Table(Counter(1, 0)), Wire()
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as changes:
        await anext(changes)
        row = table.advance(finished=True, label="as committed")
        wire.inject(Message("counter", 1, row.revision, Kind.STATE, body))
        assert [state async for state in changes] == [row]


async def test_a_publisher_neither_waits_nor_fails_when_the_channel_refuses() -> None:
    table, wire = Table(Counter(1, 0)), Wire(local=False)
    async with running_hub(table, wire) as hub:
        wire.refuse = True
        for _ in range(1_000):
            await hub.publish("counter", table.advance())
            await asyncio.sleep(0)
        await hub.publish("counter", table.advance(finished=True))
        wire.refuse = False
        await until(lambda: len(wire.sent) == 2)
    assert [text.split(":")[2:4] for text in wire.sent] == [["1000", "s"], ["1001", "f"]]


async def test_what_the_channel_refused_is_sent_again() -> None:
    wire = Wire(local=False)
    async with running_hub(Table(), wire) as hub:
        wire.refuse = True
        await hub.publish("counter", Counter(1, 1, finished=True))
        await hub.publish_deleted("counter", 2)
        await turns()
        assert wire.sent == []
        wire.refuse = False
        await until(lambda: len(wire.sent) == 2)
    assert [text.split(":")[:4] for text in wire.sent] == [["counter", "1", "1", "f"], ["counter", "2", "0", "d"]]


async def test_closing_is_bounded_when_the_channel_refuses() -> None:
    wire = Wire(local=False)
    hub = Hub("test://", [Table().topic], opener=lambda _: wire)
    await hub.start()
    wire.refuse = True
    await hub.publish("counter", Counter(1, 1))
    async with asyncio.timeout(5):
        await hub.close()


def message(number: int, revision: int, kind: Kind = Kind.STATE) -> Message:
    return Message("counter", number, revision, kind, "{}")


def test_the_outbox_holds_the_newest_state_and_each_last_one() -> None:
    outbox = Outbox()
    for each in (message(1, 3), message(1, 2), message(2, 1), message(1, 4, Kind.LAST), message(1, 5)):
        outbox.put(each)
    assert [outbox.take() for _ in range(len(outbox))] == [message(2, 1), message(1, 4, Kind.LAST), message(1, 5)]


def test_what_is_put_back_goes_first_unless_a_newer_one_came() -> None:
    outbox = Outbox()
    outbox.put(message(2, 1))
    outbox.put_back(message(1, 1))
    assert outbox.take() == message(1, 1)
    outbox.put(message(1, 2))
    outbox.put_back(message(1, 1))
    assert [outbox.take() for _ in range(len(outbox))] == [message(2, 1), message(1, 2)]


def test_an_outbox_that_is_full_asks_everybody_to_read_the_rows() -> None:
    outbox = Outbox(limit=100)
    for number in range(150):
        outbox.put(message(number, 1))
        assert len(outbox) <= 100
    assert outbox.take() is RESYNC
    assert len(outbox) == 49


async def test_a_resync_message_makes_every_watched_row_be_read() -> None:
    table, wire = Table(Counter(1, 0), Counter(2, 0)), Wire()
    async with running_hub(table, wire) as hub, hub.watch("counter", 1) as one, hub.watch("counter", 2) as two:
        await anext(one)
        await anext(two)
        await turns()
        table.reads = 0
        table.advance(1)
        table.advance(2)
        wire.inject(RESYNC)
        assert (await anext(one)).revision == (await anext(two)).revision == 1
        assert table.reads == 2


def test_a_channel_that_there_is_no_backend_for_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="kafka"):
        Hub("kafka://localhost", [])
