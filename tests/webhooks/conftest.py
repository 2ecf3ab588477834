"""What the tests of webhooks stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.webhooks import Hooks, hooks_on


@pytest.fixture
async def hooks(database_url: str) -> AsyncIterator[Hooks]:
    """On each kind of database."""
    async with hooks_on(database_url) as hooks:
        yield hooks


@pytest.fixture
async def local_hooks(tmp_path: Path) -> AsyncIterator[Hooks]:
    """On SQLite, for what no database makes a difference to."""
    async with hooks_on(f"sqlite:///{tmp_path / 'sluicegate.db'}") as hooks:
        yield hooks
