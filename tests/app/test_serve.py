"""`sluicegate serve` as a process: how it starts, what it refuses, how it ends."""

import asyncio
import json
import re
import signal
import socket
import stat
import time
from pathlib import Path

import pytest

from sluicegate.core.crypto import new_api_secret, new_secret_key
from sluicegate.core.datadir import DataDirectory
from tests.support.command import COMMAND, invoke, sluicegate_async
from tests.support.gateway import bare_environment, gateway_process, listening_url
from tests.support.processes import ServerProcess

VIEWER = "{ viewer { namespace { name } scopes } }"

pytestmark = pytest.mark.slow


async def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    process = ServerProcess([COMMAND, "serve", "--port", "0", "--data-dir", data_dir], env=bare_environment())
    try:
        url = await asyncio.to_thread(listening_url, process)
        await asyncio.to_thread(process.wait_for, "first-link.txt")
    finally:
        assert await asyncio.to_thread(process.stop) == 0
    link = (data_dir / "first-link.txt").read_text().strip()
    found = re.fullmatch(re.escape(url) + r"/graphql#key=(sg_[\w-]{40,})", link)
    assert found is not None
    assert found[1] not in process.output
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    for name in ("first-link.txt", "secret.key", "sluicegate.db", "lock"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600, name
    # The key opens the gateway, at its second start too, which makes no other.
    (data_dir / "first-link.txt").unlink()
    async with gateway_process(data_dir, key=found[1]) as gateway:
        assert (await gateway.data(VIEWER))["viewer"]["scopes"] == ["READ", "WRITE", "ADMIN"]
    assert not (data_dir / "first-link.txt").exists()


async def test_a_second_gateway_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with gateway_process(tmp_path) as gateway:
        second = await sluicegate_async("serve", "--port", "0", "--data-dir", tmp_path)
        assert second.code == 3
        assert f"pid {gateway.process.pid}" in second.err
        assert "Traceback" not in second.err
        assert (await gateway.data(VIEWER))["viewer"]
        # So is what would change tables or keys under it.
        for command in (("migrate",), ("secrets", "rotate")):
            refused = await sluicegate_async(*command, "--data-dir", tmp_path)
            assert refused.code == 3
            assert str(gateway.process.pid) in refused.err
    assert DataDirectory(tmp_path).holder() is None


async def test_after_a_kill_it_starts_again_on_the_same_directory(tmp_path: Path) -> None:
    key = new_api_secret()
    async with gateway_process(tmp_path, key=key) as gateway:
        await gateway.data('mutation { createProject(input: {name: "kept"}) { project { id } } }')
        gateway.process.kill()
    async with gateway_process(tmp_path, key=key) as gateway:
        projects = await gateway.data("{ projects { nodes { name } } }")
    assert projects == {"projects": {"nodes": [{"name": "kept"}]}}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_end_it_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    async with gateway_process(tmp_path) as gateway:
        began = time.monotonic()
        assert await asyncio.to_thread(gateway.process.stop, 15, number) == 0
        assert time.monotonic() - began < 10
    assert "Ended in order." in gateway.output
    assert "Traceback" not in gateway.output


async def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    """While it waits for a request that does not end: the body of a POST that is never sent."""
    async with gateway_process(tmp_path) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {gateway.key}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{".encode())
        await writer.drain()
        await gateway.data(VIEWER)
        gateway.process.send(signal.SIGINT)
        await asyncio.to_thread(gateway.process.wait_for, "Draining")
        gateway.process.send(signal.SIGINT)
        assert await asyncio.to_thread(gateway.process.wait) == 130
        writer.close()


async def test_logs_are_json_lines_without_keys_and_signatures(tmp_path: Path) -> None:
    async with gateway_process(tmp_path, {"SLUICEGATE_LOG_LEVEL": "debug"}) as gateway:
        await gateway.http.get(
            "/objects/T2JqZWN0OjE/content?link=signedsignedsigned&X-Amz-Signature=0123456789abcdef",
            headers={**gateway.headers(), "X-Request-ID": "asked-by-the-test"},
        )
    lines = [json.loads(line) for line in gateway.output.splitlines()]
    mine = [line for line in lines if line.get("request_id") == "asked-by-the-test"]
    assert [(line["logger"], line["path"]) for line in mine if line["logger"] == "sluicegate.access"] == [
        ("sluicegate.access", "/objects/T2JqZWN0OjE/content")
    ]
    for secret in ("signedsigned", "0123456789abcdef", gateway.key, "Authorization", "Bearer"):
        assert secret not in gateway.output


def test_a_port_in_use_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = invoke("serve", "--port", port, "--data-dir", tmp_path / "data")
    assert ended.code == 3
    assert f"Port {port}" in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "data").exists()


async def test_another_secret_key_is_fatal_at_start(tmp_path: Path) -> None:
    right, wrong = new_secret_key(), new_secret_key()
    async with gateway_process(tmp_path, {"SLUICEGATE_SECRET_KEY": right}):
        pass
    ended = await sluicegate_async("serve", "--port", "0", "--data-dir", tmp_path, env={"SLUICEGATE_SECRET_KEY": wrong})
    assert ended.code == 3
    assert "secret key" in ended.err
    assert "SLUICEGATE_SECRET_KEY" in ended.err
    assert right not in ended.err
    assert wrong not in ended.err
    # A new first, the old behind it: both open, and the next start with the new one alone does after `secrets rotate`.
    both = {"SLUICEGATE_SECRET_KEY": f"{wrong},{right}"}
    assert (await sluicegate_async("secrets", "rotate", "--data-dir", tmp_path, env=both)).code == 0
    async with gateway_process(tmp_path, {"SLUICEGATE_SECRET_KEY": wrong}) as gateway:
        assert (await gateway.http.get("/healthz")).status_code == 200


async def test_a_lost_key_file_is_not_made_anew(tmp_path: Path) -> None:
    async with gateway_process(tmp_path):
        pass
    (tmp_path / "secret.key").rename(tmp_path / "elsewhere")
    ended = await sluicegate_async("serve", "--port", "0", "--data-dir", tmp_path)
    assert ended.code == 3
    assert "secret.key is missing" in ended.err
    assert not (tmp_path / "secret.key").exists()


async def test_postgresql_wants_a_secret_key_given(postgres_url: str, tmp_path: Path) -> None:
    ended = await sluicegate_async(
        "serve", "--port", "0", "--data-dir", tmp_path, env={"SLUICEGATE_DATABASE_URL": postgres_url}
    )
    assert ended.code == 3
    assert "SLUICEGATE_SECRET_KEY is not set" in ended.err
    assert "sluicegate secrets new-key" in ended.err


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = invoke("serve", "--port", "0", "--data-dir", tmp_path / "file" / "data")
    assert ended.code == 3
    assert "cannot be made" in ended.err
    assert "--data-dir" in ended.err
