from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bad_input.user import User
from tests.providers.s3_sources import Bucket
from tests.support.gateway import GatewayProcess, gateway_process, new_name
from tests.support.s3_responder import S3Responder
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer


@pytest.fixture(scope="package")
def local_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What LOCAL storages may read."""
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="package")
async def gateway(local_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayProcess]:
    """A gateway in a process of its own, so that what it logs is all that it logs."""
    env = {
        "SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1",
        "SLUICEGATE_LOCAL_ROOTS": f"default={local_root}",
        "SLUICEGATE_LOG_LEVEL": "debug",
    }
    async with gateway_process(tmp_path_factory.mktemp("gateway"), env) as running:
        yield running


@pytest.fixture
async def user(gateway: GatewayProcess) -> AsyncIterator[User]:
    """Somebody at that gateway. Afterwards: no secret in any answer or log line, and nothing that was not expected."""
    user = User(gateway)
    yield user
    user.check_silence(gateway.output)
    assert "Traceback" not in gateway.output
    assert "unexpected" not in gateway.output.lower()


@pytest.fixture
async def owned(seaweed: SeaweedServer) -> AsyncIterator[Bucket]:
    """An empty bucket on the server that checks signatures."""
    async with Bucket(seaweed.endpoint, new_name("bad-input"), ACCESS_KEY, SECRET_KEY) as bucket:
        await bucket.create()
        yield bucket


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    """An S3 server that does what the test tells it."""
    async with S3Responder() as running:
        yield running
