"""The gateway that the browser opens, and a browser tab on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser

from tests.web import standin
from tests.web.browser import Tab, open_tab, running_browser


@dataclass(frozen=True)
class Gateway:
    """What a test of the page needs to know."""

    url: str
    key: str
    job_id: str
    """A job that waits."""
    go_on: Callable[[], Awaitable[None]]
    """Makes the job run to its end: COMPLETED, five objects."""


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async def go_on() -> None:
        standin.go_on.set()

    async with standin.running_standin() as url:
        yield Gateway(url, standin.KEY, standin.JOB_ID, go_on)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as running:
        yield running


@pytest.fixture
async def tab(browser: Browser, gateway: Gateway) -> AsyncIterator[Tab]:
    async with open_tab(browser, gateway.url) as opened:
        yield opened
