"""The gateway that the browser opens, and a browser tab on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.web.browser import Tab, open_tab
from tests.web.standin import ENDLESS, KEY, running_standin


@dataclass(frozen=True)
class Gateway:
    """What a test of the page needs to know."""

    url: str
    key: str
    job_id: str
    """A job that changes a few times after a subscription begins, then finishes."""
    endless_job_id: str
    """A job that does not finish by itself."""


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running_standin() as url:
        yield Gateway(url, KEY, "job-1", ENDLESS)


@pytest.fixture
async def tab(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Tab]:
    async with open_tab(gateway.url, tmp_path / "profile") as opened:
        yield opened
