"""What a sync would take and what it would leave out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import strawberry

from gql.scalars import BigInt
from gql.types.progress import FilterCount

if TYPE_CHECKING:
    from models.jobs import Job as JobRow


@strawberry.type(description="An object of a source, and whether a sync would import it.")
class PreviewItem:
    """One object of a preview."""

    path: str = strawberry.field(description="Where it is in the source.")
    size_bytes: BigInt | None = strawberry.field(description="Bytes; null when the source does not tell.")
    modified_at: datetime | None = strawberry.field(
        description="When it last changed in the source; null when that is not told."
    )
    imported: bool = strawberry.field(description="Whether a sync would import it.")
    filtered_by: str | None = strawberry.field(
        description="The rule that leaves it out, as in FilterCount; null when it would be imported."
    )


@strawberry.type(description="What a sync would have done.")
class DryRunReport:
    """The result of a dry run."""

    added: BigInt = strawberry.field(description="Objects that would be added.")
    updated: BigInt = strawberry.field(description="Objects that would be replaced because they changed.")
    missing: BigInt = strawberry.field(description="Objects that would be marked as no longer in the source.")
    unchanged: BigInt = strawberry.field(description="Objects that are as they are in the source.")
    filtered: list[FilterCount] = strawberry.field(description="Objects that rules would leave out, by rule.")
    samples: list[PreviewItem] = strawberry.field(description="Some of the objects.")


def dry_run_report_of(row: JobRow) -> DryRunReport | None:
    """The report in a job's row. A run that has not got to its end has only samples: that is none yet."""
    report: Mapping[str, Any] | None = (row.sync or {}).get("dryRunReport")
    if report is None or "added" not in report:
        return None
    return DryRunReport(
        added=report["added"],
        updated=report["updated"],
        missing=report["missing"],
        unchanged=report["unchanged"],
        filtered=[FilterCount(rule=part["rule"], objects=part["objects"]) for part in report["filtered"]],
        samples=[_sample(item) for item in report["samples"]],
    )


def _sample(item: Mapping[str, Any]) -> PreviewItem:
    modified = item.get("modifiedAt")
    return PreviewItem(
        path=item["path"],
        size_bytes=item.get("sizeBytes"),
        modified_at=None if modified is None else datetime.fromisoformat(modified),
        imported=item["imported"],
        filtered_by=item.get("filteredBy"),
    )
