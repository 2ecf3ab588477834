"""Files that are far larger than the memory should get: read to their end, in a gateway that stays small."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bad_input.user import User, counts
from tests.support.gateway import GatewayProcess, gateway_process

RECORDS = 12_800
FILLER = "x" * 16_000
MOST_MORE = 64 << 20
"""What may be added to the resident memory of an idle gateway: less than a third of the file."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def large_array() -> Iterator[bytes]:
    """200 MB of JSON, piece by piece."""
    yield b"["
    for number in range(RECORDS):
        yield (b"," if number else b"") + json.dumps({"n": number, "text": FILLER}).encode()
    yield b"]"


def write_large(path: Path, *, broken: bool) -> None:
    """Writes it, gzipped where it is named so; `broken`: in the middle."""
    opened = gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb")  # noqa: SIM115
    with opened as file:
        for number, piece in enumerate(large_array()):
            file.write(b", oops" if broken and number == RECORDS // 2 + 1 else piece)


async def peak_while(gateway: GatewayProcess, work: "asyncio.Task[object]") -> int:
    """The most resident memory of the process until the task is done, in bytes."""
    process, peak = psutil.Process(gateway.process.pid), 0
    while not work.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.wait({work}, timeout=0.02)
    return peak


@pytest.mark.parametrize(("name", "broken"), [("large.json", False), ("large.json", True), ("large.json.gz", False)])
async def test_a_file_of_200_mb_is_read_in_flat_memory(tmp_path: Path, name: str, broken: bool) -> None:
    root = tmp_path / "files"
    root.mkdir()
    await asyncio.to_thread(write_large, root / name, broken=broken)
    async with gateway_process(tmp_path / "data", {"SLUICEGATE_LOCAL_ROOTS": f"default={root}"}) as gateway:
        user = User(gateway)
        storage = await user.storage({"local": {"path": ""}})
        idle = psutil.Process(gateway.process.pid).memory_info().rss
        work = asyncio.create_task(user.sync(storage))
        peak = await peak_while(gateway, work)
        state = await work
        if broken:
            assert (state["status"], counts(state)) == (
                "COMPLETED_WITH_ERRORS",
                {"synced": RECORDS // 2, "failed": 1},
            )
            (error,) = state["sync"]["lastErrors"]
            assert (error["path"], error["row"]) == (name, RECORDS // 2)
            assert "Not JSON at character 102," in error["message"]
        else:
            assert (state["status"], counts(state)) == ("COMPLETED", {"synced": RECORDS})
        assert peak - idle < MOST_MORE, f"{idle >> 20} MiB idle, {peak >> 20} MiB at most"
        user.check_silence(gateway.output)


async def test_a_single_record_of_200_mb_is_refused_in_flat_memory(tmp_path: Path) -> None:
    root = tmp_path / "files"
    root.mkdir()
    with (root / "one.json").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}')
    (root / "two.json").write_bytes(b'{"fine": true}')
    async with gateway_process(tmp_path / "data", {"SLUICEGATE_LOCAL_ROOTS": f"default={root}"}) as gateway:
        user = User(gateway)
        storage = await user.storage({"local": {"path": ""}})
        idle = psutil.Process(gateway.process.pid).memory_info().rss
        work = asyncio.create_task(user.sync(storage))
        peak = await peak_while(gateway, work)
        state = await work
        assert (state["status"], counts(state)) == ("COMPLETED_WITH_ERRORS", {"synced": 1, "failed": 1})
        (error,) = state["sync"]["lastErrors"]
        assert error["message"] == "A record is longer than 16 MiB."
        assert peak - idle < MOST_MORE, f"{idle >> 20} MiB idle, {peak >> 20} MiB at most"
