"""The public enums. Those of the rows and the providers are shown as they are, so the two cannot drift apart."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any

import strawberry

from models.jobs import JobStatus, JobTrigger
from models.objects import ObjectStatus
from models.storages import SyncStatus
from sluicegate.providers.base import Capability, CheckStatus, MappingSource, ProviderType
from sluicegate.sync.mapping_form import BlobType, MappingTarget, MappingTransform
from sluicegate.sync.progress import Phase as SyncPhase


class Modality(StrEnum):
    """What kind of content an object has, told from its MIME type or extension."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    TEXT = "TEXT"
    DOCUMENT = "DOCUMENT"
    TABULAR = "TABULAR"
    OTHER = "OTHER"


class OutcomeKind(StrEnum):
    """What became of one object in a run."""

    ADDED = "ADDED"
    UPDATED = "UPDATED"
    FAILED = "FAILED"
    MISSING = "MISSING"


class JobSignal(StrEnum):
    """What a person can ask of a job."""

    CANCEL = "CANCEL"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RETRY = "RETRY"
    RUN_NOW = "RUN_NOW"


class SortDirection(StrEnum):
    """The order of one sort key."""

    ASC = "ASC"
    DESC = "DESC"


def show(enum: type[Enum], values: dict[str, str], *, name: str | None = None, description: str | None = None) -> None:
    """Makes `enum` a GraphQL enum, each value described."""
    strawberry.enum(enum, name=name, description=description or enum.__doc__)
    definition: Any = enum.__dict__["__strawberry_definition__"]
    for value in definition.values:
        value.description = values[value.name]


_MODALITIES = {
    "IMAGE": "Pictures.",
    "VIDEO": "Moving pictures.",
    "AUDIO": "Sound.",
    "TEXT": "Plain text, source code, JSON, XML and mark-up.",
    "DOCUMENT": "PDF and office documents.",
    "TABULAR": "CSV, TSV, Parquet and spreadsheets.",
    "OTHER": "Everything else.",
}
show(Modality, _MODALITIES)
show(
    BlobType,
    {"AUTO": "In a mapping alone: told from the file's MIME type or extension.", **_MODALITIES},
    description="What a blob is; the modality of its file unless a mapping says otherwise.",
)
show(MappingTarget, {"BLOB": "A file of the object.", "FIELD": "A field of the object."})
show(
    MappingTransform,
    {
        "LOWERCASE": "Text in lower case.",
        "UPPERCASE": "Text in upper case.",
        "TRIM": "Text without white space at its ends.",
        "JSON_PARSE": "The JSON value that the text is.",
    },
)
show(
    SyncStatus,
    {
        "INITIALIZED": "Never synced.",
        "QUEUED": "A sync waits for its turn.",
        "IN_PROGRESS": "A sync runs.",
        "FAILED": "The last sync ended with an error.",
        "COMPLETED": "The last sync went through.",
        "COMPLETED_WITH_ERRORS": "The last sync went through, but some objects failed.",
        "CANCELED": "The last sync was canceled.",
    },
    description="The state of a storage's last sync.",
)
show(
    JobStatus,
    {
        "SCHEDULED": "Waits for its time.",
        "QUEUED": "Waits for a worker.",
        "IN_PROGRESS": "A worker is on it.",
        "PAUSED": "Stopped at a checkpoint until it is resumed.",
        "CANCELING": "Cancel was asked for; the work in flight is being stopped.",
        "CANCELED": "Ended by a cancel; what was done before stays.",
        "FAILED": "Ended by an error.",
        "COMPLETED": "Ended, everything done.",
        "COMPLETED_WITH_ERRORS": "Ended; some objects failed.",
    },
    description="Where a job is. CANCELED, FAILED, COMPLETED and COMPLETED_WITH_ERRORS are final.",
)
show(
    JobTrigger,
    {
        "MANUAL": "A caller asked for it.",
        "SCHEDULE": "It was due.",
        "EVENT": "The source announced a change.",
        "RETRY": "A caller asked for a failed job again.",
    },
)
show(
    ObjectStatus,
    {
        "STAGED": "Found, and waits to be confirmed.",
        "SYNCED": "In the dataset.",
        "MISSING": "In the dataset, but no longer in the source.",
    },
    description="Where an object is.",
)
show(
    ProviderType,
    {
        "S3": "Amazon S3 and what speaks its protocol.",
        "TIGRIS": "Tigris.",
        "GOOGLE_DRIVE": "Google Drive.",
        "SHAREPOINT": "SharePoint and OneDrive for Business.",
        "SNOWFLAKE": "Snowflake tables and views.",
        "LOCAL": "A folder of the gateway's own machine, where its operator allows it.",
    },
    description="What kind of source a storage connects to.",
)
show(
    Capability,
    {
        "TAGS": "Objects have tags that a mapping can read.",
        "METADATA": "Objects have metadata that a mapping can read.",
        "PROPERTIES": "Objects have properties that a mapping can read.",
        "COLUMNS": "Objects are rows with columns.",
        "CHANGE_FEED": "The source tells what changed since the last sync.",
        "EVENTS": "The source announces changes as they happen.",
        "TEMPORARY_URL": "Links that work without credentials for a while.",
        "CONTENT_HASH": "The listing tells a hash of the content.",
        "WRITE": "Exports can be written to it.",
        "ASSUME_ROLE": "Access through a role instead of keys.",
    },
    name="ProviderCapability",
    description="What a provider can do beyond listing and reading.",
)
show(
    MappingSource,
    {
        "FILE": "The file itself.",
        "TAG": "A tag of the object.",
        "METADATA": "A metadata entry of the object.",
        "COLUMN": "A column of the row.",
        "DRIVE_PROPERTY": "A property of the Drive file.",
        "FILENAME_REGEX": "The one group of a regular expression over the file's name.",
        "FOLDER_PATH": "A folder of the path, or the whole path.",
        "CONSTANT": "A fixed value.",
    },
    name="MappingSourceType",
    description="Where a mapping can take a value from.",
)
show(
    CheckStatus,
    {
        "PASSED": "It works.",
        "WARNING": "It works, but something will surprise.",
        "FAILED": "It does not work.",
        "SKIPPED": "Not tried, because an earlier step failed or it does not apply.",
    },
    description="How one step of a validation ended.",
)
show(
    SyncPhase,
    {
        "QUEUED": "Waits for a worker.",
        "CONNECTING": "Opens the source.",
        "LISTING": "Lists the source and imports what is new or changed.",
        "IMPORTING": "The listing is complete; the rest is being imported.",
        "RECONCILING": "Marks what is no longer in the source.",
        "FINALIZING": "Writes the result.",
        "DONE": "Ended.",
    },
    name="SyncPhase",
    description="What a run is doing now.",
)
show(
    OutcomeKind,
    {
        "ADDED": "New in the dataset.",
        "UPDATED": "Changed in the source, replaced in the dataset.",
        "FAILED": "Could not be imported; `message` says why.",
        "MISSING": "No longer in the source.",
    },
)
show(
    JobSignal,
    {
        "CANCEL": "Stop it: work in flight ends within 2 seconds and what was done stays.",
        "PAUSE": "Stop it at a checkpoint, within a second, until it is resumed.",
        "RESUME": "Let a paused job go on from its checkpoint.",
        "RETRY": "Start a failed or canceled job again.",
        "RUN_NOW": "Start a scheduled or waiting job at once.",
    },
)
show(SortDirection, {"ASC": "Smallest first; null last.", "DESC": "Largest first; null last."})
