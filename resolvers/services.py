"""The parts of a running gateway that use cases need. Made by the application, one set a process."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.database import Database
from resolvers.keys import KeyRing
from resolvers.places import Places
from sluicegate.core.crypto import SecretBox
from sluicegate.core.net import Connector
from sluicegate.events.hub import Hub
from sluicegate.jobs.service import JobsService
from sluicegate.settings import Settings
from sluicegate.sync.services import SyncServices


@dataclass(frozen=True, slots=True)
class Services:
    """Every resolver takes it first. `sync` opens the providers of storages."""

    settings: Settings
    database: Database
    secrets: SecretBox
    hub: Hub
    connector: Connector
    jobs: JobsService
    sync: SyncServices
    keys: KeyRing = field(default_factory=KeyRing)
    places: Places = field(default_factory=Places)
