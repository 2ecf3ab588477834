"""An S3 server on loopback, in this process: moto. Filled directly, which is 80 times as fast as by requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from secrets import token_hex
from typing import Self

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import S3Backend, s3_backends

from sluicegate.demo.files import RealFile

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the bucket between two syncs."""

    added: int
    overwritten: int
    deleted: int


class DemoBucket:
    """A server with one bucket. Used with `with`; the credentials are made up for this run."""

    def __init__(self) -> None:
        self.name = "demo-files"
        self.access_key = "AKIA" + token_hex(8).upper()
        self.secret_key = token_hex(20)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server.start()
        self._stack.callback(self._server.stop)
        self._backend.create_bucket(self.name, REGION)
        self._stack.callback(self._backend.reset)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        """host:port, as SLUICEGATE_ALLOWED_ENDPOINTS takes it."""
        return f"127.0.0.1:{self._server.get_host_and_port()[1]}"

    @property
    def endpoint(self) -> str:
        """Where it speaks S3."""
        return f"http://{self.address}"

    async def fill(self, files: Sequence[RealFile]) -> int:
        """Puts the files into the bucket, in a thread. Returns how many bytes they have."""
        return await asyncio.to_thread(self._fill, files)

    async def change(self, added: Sequence[RealFile], kept: Sequence[RealFile]) -> Change:
        """Adds the first, overwrites five of the second and deletes three of them."""
        overwritten, deleted = kept[0:5], kept[5:8]
        await self.fill(added)
        for file in overwritten:
            body = await asyncio.to_thread(file.path.read_bytes)
            self._backend.put_object(self.name, file.key, body + b"\n", disable_notification=True)
        for file in deleted:
            self._backend.delete_object(self.name, file.key)
        return Change(len(added), len(overwritten), len(deleted))

    def _fill(self, files: Sequence[RealFile]) -> int:
        size = 0
        for file in files:
            body = file.path.read_bytes()
            self._backend.put_object(self.name, file.key, body, disable_notification=True)
            size += len(body)
        return size

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
