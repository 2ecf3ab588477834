"""docs/jobs.md shows the transitions as they are."""

import re
from pathlib import Path

from models import config_transitions
from models.job_transitions import TRANSITIONS
from models.jobs import FINISHED, JobStatus
from models.sync_configs import SyncConfigStatus

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


def config_table() -> str:
    lines = ["| event | from | to |", "|---|---|---|"]
    for event, pairs in config_transitions.TRANSITIONS.items():
        lines += [
            f"| {event} | {source} | {' or '.join(pairs[source])} |" for source in SyncConfigStatus if source in pairs
        ]
    return "\n".join(lines)


def test_the_page_shows_the_table_of_configurations() -> None:
    assert config_table() in PAGE.read_text()


def test_the_drawing_of_configurations_shows_what_the_table_has() -> None:
    (drawing,) = (text for text in re.findall(r"```mermaid(.*?)```", PAGE.read_text(), re.DOTALL) if "DRAFT" in text)
    drawn = {(S(source), S(target)) for source, target in re.findall(r"([A-Z_]+) --> ([A-Z_]+)", drawing)}
    known = {
        (source, target)
        for pairs in config_transitions.TRANSITIONS.values()
        for source, targets in pairs.items()
        for target in targets
    }
    assert drawn <= known
    assert {status for pair in drawn for status in pair} == set(S)


def test_every_status_of_a_configuration_can_be_left_but_the_last() -> None:
    left = {
        source
        for pairs in config_transitions.TRANSITIONS.values()
        for source, targets in pairs.items()
        if set(targets) - {source}
    }
    assert set(S) - left == {S.ARCHIVED}


S = SyncConfigStatus
