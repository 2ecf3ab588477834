"""What every resolver of the schema finds in `info.context`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import strawberry

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from gql.loaders import Loaders
    from resolvers.access import Viewer
    from resolvers.services import Services


@dataclass(slots=True)
class Context:
    """One operation's surroundings; a subscription gets a fresh one (`fork`) for each event.

    A WebSocket outlives its operations and a subscription its events: loaders that lived as long would answer from
    memory what has changed since.
    """

    services: Services
    viewer: Viewer
    request: HTTPConnection
    request_id: str
    _loaders: Loaders | None = field(default=None, init=False, repr=False)

    @property
    def loaders(self) -> Loaders:
        """Batch loaders of this operation or event, made when first asked for."""
        if self._loaders is None:
            from gql.loaders import Loaders

            self._loaders = Loaders(self.services, self.viewer, self.request)
        return self._loaders

    def fork(self) -> Context:
        """The same surroundings with fresh loaders."""
        return Context(self.services, self.viewer, self.request, self.request_id)


Info = strawberry.Info[Context, None]
"""The type of `info` in resolvers."""
