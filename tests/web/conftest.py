"""The gateway that the browser opens, and a browser tab on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.moto_server import ACCESS_KEY, SECRET_KEY, MotoServer
from tests.web.browser import Tab, open_tab, running_browser

TABS = Path(__file__).resolve().parents[2] / "web" / "src" / "tabs"
OBJECTS = 5


@dataclass(frozen=True)
class Gateway:
    """What a test of the page needs of a gateway."""

    running: RunningGateway
    storage_id: str
    job_id: str
    """A sync that waits: its time is an hour away."""

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def key(self) -> str:
        return self.running.key

    async def go_on(self) -> None:
        """Make the job run now."""
        await run_tab(self.running, "5-sync-storage", {"input": {"id": self.storage_id}})


async def run_tab(gateway: RunningGateway, name: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The payload of a mutation, which is run as the page's tab has it."""
    data = await gateway.data((TABS / f"{name}.graphql").read_text(), variables)
    (payload,) = data.values()
    assert payload["errors"] == []
    return payload


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[RunningGateway]:
    """One gateway for all tests of the page: each has a project of its own there."""
    async with running_gateway(allowed_endpoints="127.0.0.1") as gateway:
        yield gateway


@pytest.fixture
async def gateway(running: RunningGateway, moto: MotoServer, bucket: str) -> Gateway:
    moto.put(bucket, {f"{number}.txt": b"text" for number in range(OBJECTS)})
    made = await run_tab(running, "2-create-project", {"input": {"name": "Texts"}})
    s3 = {"bucket": bucket, "s3Endpoint": moto.endpoint, "regionName": "us-east-1"}
    s3 |= {"awsAccessKeyId": ACCESS_KEY, "awsSecretAccessKey": SECRET_KEY}
    settings = {"projectId": made["project"]["id"], "provider": {"s3": s3}, "useBlobUrls": True}
    storage_id = (await run_tab(running, "3-create-storage", {"input": settings}))["storage"]["id"]
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    sync = await run_tab(running, "5-sync-storage", {"input": {"id": storage_id, "scheduledAt": in_an_hour}})
    return Gateway(running, storage_id, sync["job"]["id"])


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as chromium:
        yield chromium


@pytest.fixture
async def tab(browser: Browser, gateway: Gateway) -> AsyncIterator[Tab]:
    async with open_tab(browser, gateway.url) as opened:
        yield opened
