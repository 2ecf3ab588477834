"""A TCP proxy whose network the test breaks: connections are reset, or swallow what is sent."""

import asyncio
import socket
from typing import Self


class Proxy:
    """Passes connections on to a port of 127.0.0.1, in the loop of the test."""

    def __init__(self, port: int) -> None:
        """Nothing listens yet."""
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.accepted = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends every connection."""
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """Every connection ends as by a RST; new ones are taken."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw.fileno() >= 0:  # else it has ended by itself
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()

    def swallow(self) -> None:
        """From now on nothing arrives anywhere, on old connections and new ones, and nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """After `swallow`: what is sent from now on arrives again; the old connections never recover."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        both = [writer]
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            both.append(there_writer)
            self._writers.add(there_writer)
            await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
        except OSError:
            # What ended one side ends the other: else a server would keep the transaction of a client that is dead.
            for each in both:
                each.transport.abort()
        finally:
            self._writers.difference_update(both)
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = False
        while data := await reader.read(65_536):
            lost = lost or not self._flowing.is_set()
            if not lost:
                writer.write(data)
                await writer.drain()
        writer.close()
