"""The parts of a running gateway that use cases need. Made by the application, one set a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.database import Database
from resolvers.keys import KeyRing
from resolvers.keys import KeyRing
from sluicegate.core.crypto import SecretBox
from sluicegate.core.net import Connector
from sluicegate.events.hub import Hub
from sluicegate.settings import Settings
from sluicegate.sync.services import SyncServices

if TYPE_CHECKING:
    from sluicegate.jobs.service import JobsService


@dataclass(frozen=True, slots=True)
class Services:
    """Every resolver takes it first. `sync` opens the providers of storages; `keys`: the API keys in use."""

    settings: Settings
    database: Database
    secrets: SecretBox
    hub: Hub
    connector: Connector
    jobs: JobsService
    sync: SyncServices
    keys: KeyRing
    keys: KeyRing = field(default_factory=KeyRing)
