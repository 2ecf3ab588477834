"""docs/jobs.md shows the transitions as they are."""

from pathlib import Path

from models.job_transitions import TRANSITIONS
from models.jobs import FINISHED, JobStatus

PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"


def table() -> str:
    lines = ["| event | from | to |", "|---|---|---|"]
    for event, pairs in TRANSITIONS.items():
        lines += [f"| {event} | {source} | {pairs[source]} |" for source in JobStatus if source in pairs]
    return "\n".join(lines)


def test_the_page_shows_the_table() -> None:
    assert table() in PAGE.read_text()


def test_every_status_can_be_reached_and_left_but_success() -> None:
    reached = {target for pairs in TRANSITIONS.values() for target in pairs.values()} | {JobStatus.SCHEDULED}
    left = {source for pairs in TRANSITIONS.values() for source, target in pairs.items() if source != target}
    assert reached == set(JobStatus)
    assert set(JobStatus) - left == {JobStatus.COMPLETED}
    assert JobStatus.COMPLETED in FINISHED
