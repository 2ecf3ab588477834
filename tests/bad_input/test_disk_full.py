"""The disk of the gateway's database is full, and then it is not any more."""

import asyncio
import json
import resource
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bad_input.user import User, counts, s3
from tests.support.gateway import GatewayProcess, gateway_process
from tests.support.s3_responder import S3Responder

FILES = {True: 15_000, False: 3_000}
ROOM_BYTES = 2 << 20
"""Enough for the run to begin, not for it to end."""
RECORD = "a record that should not be in a log"
pytestmark = pytest.mark.slow


@contextmanager
def no_room(gateway: GatewayProcess, data_dir: Path) -> Generator[None]:
    """No file of the process can grow much beyond the largest of its database: writes fail as on a full disk."""
    process = psutil.Process(gateway.process.pid)
    _, most = process.rlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in data_dir.glob("sluicegate.db*"))
    process.rlimit(resource.RLIMIT_FSIZE, (largest + ROOM_BYTES, most))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.parametrize("blobs", [True, False])
async def test_a_full_disk_delays_a_sync_and_loses_nothing(tmp_path: Path, server: S3Responder, blobs: bool) -> None:
    data_dir = tmp_path / "data"
    server.page_size = 500
    body = json.dumps({"text": RECORD, "more": "x" * 1_000}).encode()
    for number in range(FILES[blobs]):
        server.store.put(b"%05d.json" % number, body)
    async with gateway_process(data_dir, {"SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1"}) as gateway:
        user = User(gateway)
        made: list[str] = []
        project = await user.project()
        storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project, useBlobUrls=blobs)
        with no_room(gateway, data_dir):
            job = await user.start(storage)
            await asyncio.to_thread(gateway.process.wait_for, r"Job \d+ failed: OperationalError")
            assert 0 < len(await user.objects(project)) < FILES[blobs]
            # What does not write still answers; what does says that it cannot, and does not pretend.
            answer: dict[str, Any] = {}
            for number in range(1_000):
                name = f"{number} {'x' * 200}"
                answer = await user.ask(
                    "mutation($name: String!) { createProject(input: {name: $name}) { project { id } } }", name=name
                )
                if "errors" in answer:
                    break
                made.append(name)
            (error,) = answer["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE"
            assert "database" in error["message"]
        state = await user.until(job)
        assert state["status"] == "COMPLETED", state
        assert counts(state) == {"synced": len(server.store.keys)}
        assert state["retryCount"] == 0
        found = await user.objects(project)
        assert len(found) == len({each["path"] for each in found}) == len(server.store.keys)
        user.check_silence(gateway.output)
        assert RECORD not in gateway.output
        names = await user.data("{ projects(last: 1000) { nodes { name } } }")
        assert [each["name"] for each in names["projects"]["nodes"]][1:] == made
    with sqlite3.connect(data_dir / "sluicegate.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
