"""Ends what stays open when its key does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from resolvers.access import check_still_valid
from sluicegate.core.clock import now
from sluicegate.core.errors import UnauthenticatedError

if TYPE_CHECKING:
    from resolvers.access import Viewer
    from resolvers.services import Services

CHECK_SECONDS = 1.0
"""With the 2 s for which a key is believed: at most 3 s and a query from revocation to the end of a stream."""


async def until_invalid(services: Services, viewer: Viewer) -> UnauthenticatedError:
    """Waits until the viewer's key is revoked or expired; the error says so. A database that is away ends nothing."""
    while True:
        left = CHECK_SECONDS
        if viewer.expires_at is not None:
            left = min(left, max((viewer.expires_at - now()).total_seconds(), 0.0))
        await asyncio.sleep(left)
        try:
            await check_still_valid(services, viewer)
        except UnauthenticatedError as error:
            return error
        except Exception:  # noqa: BLE001, S112 - asked again in a second; the key's own requests fail meanwhile
            continue
