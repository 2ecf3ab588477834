"""The machine's own AWS credentials: environment, profile, container, instance.

Only with SLUICEGATE_AMBIENT_AWS, and only to assume roles.
"""

from __future__ import annotations

from typing import Any

import aioboto3

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.providers.s3.signing import Credentials


class AmbientCredentials:
    """botocore's chain, which renews what it finds by itself."""

    def __init__(self) -> None:
        self._session: Any = aioboto3.Session()  # untyped

    async def get(self) -> Credentials:
        """The keys found. Raises FatalError when there are none."""
        found = await self._session.get_credentials()
        if found is None:
            raise FatalError(
                "The gateway's machine has no AWS credentials to assume the role with.",
                code=ErrorCode.PROVIDER_AUTH,
                provider_code="NO_AMBIENT_CREDENTIALS",
                hint="Give the storage keys of its own, or the machine a role.",
            )
        frozen = await found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)
