"""What tests lean on when they use, stop and kill real servers."""

import asyncpg
import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.moto_server import MotoServer
from tests.support.postgres import PostgresServer
from tests.support.processes import ServerProcess
from tests.support.seaweed import ACCESS_KEY, REGION, SECRET_KEY, SeaweedServer

pytestmark = pytest.mark.slow


async def test_postgres_keeps_what_was_committed_when_it_is_killed() -> None:
    with PostgresServer() as server:
        url = await server.create_database()
        before = await asyncpg.connect(url)
        await before.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        server.kill()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
            await before.fetchval("SELECT n FROM kept")
        server.start()
        after = await asyncpg.connect(url)
        assert await after.fetchval("SELECT n FROM kept") == 7
        await after.close()


async def test_each_test_has_a_postgres_database_of_its_own(postgres: PostgresServer) -> None:
    first, second = await postgres.create_database(), await postgres.create_database()
    connection = await asyncpg.connect(first)
    await connection.execute("CREATE TABLE mine (n int)")
    await connection.close()
    other = await asyncpg.connect(second)
    assert await other.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await other.close()
    for url in (first, second):
        await postgres.drop_database(url)


def test_moto_lists_what_was_put_and_comes_back_where_it_was() -> None:
    with MotoServer() as server, httpx.Client(trust_env=False) as client:
        bucket = server.create_bucket()
        server.put(bucket, {"ü": b"1", "a/b": b"22", "A": b""})
        server.delete(bucket, "A", "never there")
        assert server.keys(bucket) == ["a/b", "ü"]
        listing = f"{server.endpoint}/{bucket}?list-type=2"
        assert "<Key>a/b</Key>" in client.get(listing).text

        server.stop()
        with pytest.raises(httpx.ConnectError):
            client.get(listing)
        server.start()
        assert "<Key>a/b</Key>" in client.get(listing).text


def put(server: SeaweedServer, path: str, secret: str, body: bytes = b"") -> int:
    request = AWSRequest("PUT", server.endpoint + path, data=body)
    S3SigV4Auth(Credentials(ACCESS_KEY, secret), "s3", REGION).add_auth(request)
    with httpx.Client(trust_env=False) as client:
        return client.put(server.endpoint + path, content=body, headers=dict(request.headers.items())).status_code


def test_seaweed_checks_signatures_and_takes_any_key(seaweed: SeaweedServer) -> None:
    assert put(seaweed, "/signed", SECRET_KEY) == 200
    assert put(seaweed, "/signed/a%0Ab", SECRET_KEY, b"x") == 200
    assert put(seaweed, "/signed/other", SECRET_KEY + "wrong", b"x") == 403


def test_a_process_that_ends_early_tells_why() -> None:
    process = ServerProcess(["bash", "-c", "echo starting; echo 'no such port' >&2; exit 3"])
    with pytest.raises(RuntimeError, match="no such port"):
        process.wait_for("ready", seconds=20)
    assert process.wait() == 3


def test_a_kill_takes_the_children_along() -> None:
    process = ServerProcess(["bash", "-c", "sleep 600 & echo child $!; wait"])
    child = int(process.wait_for("^child").split()[1])
    process.kill()
    assert not ServerProcess.runs(child)
