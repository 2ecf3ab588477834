"""The hub: what this process publishes goes to the channel, what the channel brings goes to its watchers.

Three tasks for the life of the hub. The sender publishes from the outbox. The receiver holds the one subscription and
routes without waiting for anything, so that nothing piles up behind it. The resyncer reads the rows of the watched keys
when messages may have been lost, and again and again while the channel is down. A channel to other processes must prove
itself: an echo that does not come back in time counts as a lost connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sluicegate.core.errors import SluicegateError
from sluicegate.events.channel import Channel, open_channel
from sluicegate.events.echo import ECHO_SECONDS, Echo
from sluicegate.events.lists import ListSource, ListWatch
from sluicegate.events.messages import RESYNC, Kind, Message, Topic, Update, dumps, parse
from sluicegate.events.missed import Missed
from sluicegate.events.outbox import Outbox
from sluicegate.events.watch import End, HubStats, Watch

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the watched rows are read while the channel is down, and how long after a failure it is tried again."""
_START_SECONDS = 5.0
_FLUSH_SECONDS = 1.0
_BREATH = 64  # messages sent before other tasks of the loop get their turn


class Hub:
    """Publishes and watches states. `topics`: every kind of row that can be watched.

    Publishing never waits for the channel and never fails because of it: an event is a hint. Raises ConfigurationError
    for a channel that there is no backend for.
    """

    def __init__(
        self,
        channel_url: str,
        topics: Sequence[Topic[Any]],
        *,
        opener: Callable[[str], Channel] = open_channel,
        poll_seconds: float = POLL_SECONDS,
        echo_seconds: float = ECHO_SECONDS,
    ) -> None:
        self.stats = HubStats()
        self._channel = opener(channel_url)
        self._topics = {topic.name: topic for topic in topics}
        self._poll_seconds = poll_seconds
        self._watches: dict[tuple[str, int], set[Watch[Any]]] = {}
        self._lists: dict[str, set[ListWatch[Any]]] = {}
        self._outbox = Outbox()
        self._outgoing = asyncio.Event()
        self._sent = asyncio.Event()
        self._missed = Missed()
        self._echo = Echo(echo_seconds)
        self._trouble: str | None = None
        self._subscribed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Subscribes. A channel that does not answer within 5 seconds leaves the hub polling until it does."""
        if self._tasks:
            raise RuntimeError("The hub was started already.")
        self._sent.set()
        loops = {"send": self._send(), "receive": self._receive(), "resync": self._resync_when_stale()}
        self._tasks = [asyncio.create_task(loop, name=f"events-{name}") for name, loop in loops.items()]
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._subscribed.wait()

    async def close(self) -> None:
        """Gives what waits to the channel, for at most a second, then ends every watch. May be called twice."""
        if self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._sent.wait()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.stats.connected = False
        for watches in (*self._watches.values(), *self._lists.values()):
            for watch in watches:
                watch.finish(End.CLOSED)

    async def publish(self, topic: str, state: Any) -> None:
        """Announces a state; call it after the commit. Costs next to nothing when nobody can be watching."""
        kind = self._topics[topic]
        if self._unheard(topic, state.id):
            return
        body = dumps(kind.encode(state))
        self._put(Message(topic, state.id, state.revision, Kind.LAST if kind.is_last(state) else Kind.STATE, body))

    async def publish_deleted(self, topic: str, number: int) -> None:
        """Announces that a row is gone: its watches end."""
        if self._topics[topic] and not self._unheard(topic, number):
            self._put(Message(topic, number, 0, Kind.DELETED, ""))

    def heard(self, topic: str) -> bool:
        """Whether somebody may be watching a list of the topic: if not, what only lists show need not be read."""
        return bool(self._tasks) and (not self._channel.local or bool(self._lists.get(topic)))

    async def publish_stale(self, topic: str, scope: int) -> None:
        """Announces that more rows of the topic changed than are worth a message each: its lists are read anew.

        `scope`: the namespace of the rows; lists of others are left alone.
        """
        if self._topics[topic] and self.heard(topic):
            self._put(Message(topic, scope, 0, Kind.RESYNC, ""))

    @asynccontextmanager
    async def watch_list(
        self, topic: str, source: ListSource[Any], *, scope: int | None = None
    ) -> AsyncGenerator[ListWatch[Any]]:
        """The list that `source` selects, then its changes; see `ListWatch`. `scope`: of its rows, None for any.

        The watch is registered before the rows are read, so no change falls between the two. Raises RuntimeError when
        the hub is not running.
        """
        if not self._tasks:
            raise RuntimeError("The hub is not running.")
        watch = ListWatch(self._topics[topic], source, self.stats, scope=scope)
        watches = self._lists.setdefault(topic, set())
        watches.add(watch)
        self.stats.watchers += 1
        try:
            yield watch
        finally:
            watches.remove(watch)
            watch.finish(End.CLOSED)
            self.stats.watchers -= 1

    @asynccontextmanager
    async def watch(self, topic: str, number: int) -> AsyncGenerator[Watch[Any]]:
        """The row's state as it is, then every change; see `Watch`. The caller has checked that its reader may see it.

        The watch is registered before the row is read, so no change falls between the two. A row that does not exist
        ends the watch at once. Raises what the topic's `read` raises, and RuntimeError when the hub is not running.
        """
        if not self._tasks:
            raise RuntimeError("The hub is not running.")
        watch = Watch(self._topics[topic], number, self.stats)
        self._add(topic, watch)
        try:
            await self._reread(self._topics[topic], number, (watch,))
            yield watch
        finally:
            self._remove(topic, watch)

    async def resync(self) -> None:
        """Reads the row of every watched key and offers it to its watchers. Raises what the topic's `read` raises."""
        self.stats.resyncs += 1
        for lists in self._lists.values():
            _lose(lists)
        for topic, number in list(self._watches):
            watches = self._watches.get((topic, number))
            if watches:
                await self._reread(self._topics[topic], number, watches)

    async def _reread(
        self,
        topic: Topic[Any],
        number: int,
        watches: Collection[Watch[Any]],
        lists: Collection[ListWatch[Any]] = (),
    ) -> None:
        row = await topic.read(number)
        if row is None:
            _delete(number, watches, lists)
        else:
            update = Update(row.revision, row, last=topic.is_last(row), decode=topic.decode)
            _offer(number, update, watches, lists)

    def _unheard(self, topic: str, number: int) -> bool:
        if not self._tasks:
            return True
        return self._channel.local and (topic, number) not in self._watches and not self._lists.get(topic)

    def _put(self, message: Message) -> None:
        self.stats.published += 1
        self._outbox.put(message)
        self._sent.clear()
        self._outgoing.set()

    def _add(self, topic: str, watch: Watch[Any]) -> None:
        self._watches.setdefault((topic, watch.id), set()).add(watch)
        self.stats.watchers += 1
        self.stats.keys = len(self._watches)

    def _remove(self, topic: str, watch: Watch[Any]) -> None:
        watches = self._watches[topic, watch.id]
        watches.remove(watch)
        watch.finish(End.CLOSED)
        if not watches:
            del self._watches[topic, watch.id]
        self.stats.watchers -= 1
        self.stats.keys = len(self._watches)

    async def _send(self) -> None:
        sent = 0
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            while self._outbox:
                message = self._outbox.take()
                try:
                    await self._publish(message)
                except Exception as error:  # noqa: BLE001 - it is told, and tried again
                    if self.stats.connected:  # if not, the receiver tells
                        self._tell(error)
                    self._outbox.put_back(message)
                    await asyncio.sleep(self._pause())
                sent += 1
                if sent % _BREATH == 0:
                    await asyncio.sleep(0)
            self._sent.set()

    async def _publish(self, message: Message) -> None:
        async with asyncio.timeout(self._echo.patience):
            await self._channel.publish(message.encoded())

    async def _receive(self) -> None:
        while True:
            try:
                async with self._channel.subscribe() as messages:
                    self._missed.everything()  # what was published while nobody listened is in the rows
                    if self._channel.local:
                        self._connected()
                        await self._route_all(messages)
                    else:
                        await _first_of(self._route_all(messages), self._echo.prove(self._publish, self._connected))
                self._tell(None)
            except Exception as error:  # noqa: BLE001 - it is told, and tried again
                self._tell(error)
            self.stats.connected = False
            self._missed.everything()
            await asyncio.sleep(self._pause())

    def _connected(self) -> None:
        if self.stats.connected:
            return
        self.stats.connected = True
        if self._subscribed.is_set():
            self.stats.reconnects += 1
        if self._trouble is not None:
            logger.info("The event channel is heard again.")
            self._trouble = None
        self._subscribed.set()

    def _tell(self, error: Exception | None) -> None:
        """Logs what is wrong with the channel, once until it is something else or over."""
        what = "It ended." if error is None else str(error) or f"{type(error).__name__}."
        if what != self._trouble:
            # Of an error of ours the message says it; one that nobody thought of needs its traceback.
            shown = None if isinstance(error, (SluicegateError, TimeoutError)) else error
            text = "The event channel failed; until it is heard again the watched rows are read. %s"
            logger.warning(text, what, exc_info=shown)
        self._trouble = what

    async def _route_all(self, messages: AsyncIterator[str]) -> None:
        async for text in messages:
            try:
                self._route(parse(text))
            except ValueError:
                self.stats.malformed += 1

    def _route(self, message: Message) -> None:
        if message.kind is Kind.ECHO:
            self._echo.hear(message.body)
            return
        self.stats.received += 1
        if message.kind is Kind.RESYNC:
            if message.topic == RESYNC.topic:
                self._missed.everything()
            concerned = (each for each in self._lists.get(message.topic, ()) if each.concerns(message.id))
            _lose(concerned)
            return
        watches = self._watches.get((message.topic, message.id), ())
        lists = self._lists.get(message.topic, ())
        if not watches and not lists:
            return
        if message.kind is Kind.DELETED:
            _delete(message.id, watches, lists)
        elif not message.body:
            self._missed.row(message.topic, message.id)
        else:
            decode = self._topics[message.topic].decode
            update = Update(message.revision, message.body, last=message.kind is Kind.LAST, decode=decode)
            _offer(message.id, update, watches, lists)

    async def _resync_when_stale(self) -> None:
        while True:
            news = await self._missed.wait(None if self.stats.connected else self._poll_seconds)
            if not news and self.stats.connected:
                continue  # it came back during the wait, and all was read when it did
            if not news:
                self._missed.everything()
            rows = self._missed.take()
            try:
                if rows is None:
                    await self.resync()
                else:
                    await self._reread_all(rows)
            except Exception:
                logger.warning("The watched rows could not be read; they are read again.", exc_info=True)
                self._missed.everything()
                await asyncio.sleep(self._pause())

    async def _reread_all(self, rows: Iterable[tuple[str, int]]) -> None:
        for topic, number in rows:
            watches = self._watches.get((topic, number), ())
            lists = self._lists.get(topic, ())
            if watches or lists:
                await self._reread(self._topics[topic], number, watches, lists)

    def _pause(self) -> float:
        # Between half and the whole: processes that lost the same channel do not all return in the same moment.
        return self._poll_seconds * random.uniform(0.5, 1)  # noqa: S311  # not a secret


def _offer(number: int, update: Update[Any], watches: Iterable[Watch[Any]], lists: Iterable[ListWatch[Any]]) -> None:
    for watch in watches:
        watch.offer(update)
    for watch in lists:
        watch.offer(number, update)


def _delete(number: int, watches: Iterable[Watch[Any]], lists: Iterable[ListWatch[Any]]) -> None:
    for watch in watches:
        watch.finish(End.DELETED)
    for watch in lists:
        watch.offer(number, None)


def _lose(lists: Iterable[ListWatch[Any]]) -> None:
    for watch in lists:
        watch.lose()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends; the others are canceled. Raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
