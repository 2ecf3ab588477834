"""Dead letters of configurations: what a mapping refuses, and runs over single keys."""

from typing import Any

from models import dead_letter_queries
from models.database import ALL
from models.dead_letter_queries import Source
from models.dead_letters import WHOLE_FILE
from tests.support.sync_harness import Harness
from tests.sync.test_ledger import letters, run, statuses


def by_number(source: dict[str, Any]) -> dict[str, Any]:
    """A mapping that needs a field `n`."""
    return {
        "mappings": [
            {
                "target": "n",
                "targetType": "FIELD",
                "source": source,
                "transforms": [],
                "required": True,
                "default": None,
            }
        ]
    }


async def note(harness: Harness, *keys: bytes) -> None:
    assert harness.config is not None
    source = Source(harness.storage.project_id, harness.storage.id, harness.config.id)
    async with harness.database.write(ALL) as session:
        await dead_letter_queries.note_keys(session, source, keys)


async def test_a_file_that_the_mapping_refuses_is_a_letter_until_it_is_mapped(blobs: Harness) -> None:
    pattern = {"type": "FILENAME_REGEX", "pattern": "([0-9]+)"}
    config = await blobs.configure(schema_mapping=by_number(pattern))
    blobs.s3.store.put(b"1.txt", b"x")
    blobs.s3.store.put(b"none.txt", b"x")
    _, found = await run(blobs)
    assert sorted(found) == [("ADDED", "1.txt", 0), ("FAILED", "none.txt", 0)]
    (letter,) = (await letters(blobs)).values()
    assert (letter.row, letter.error_type, letter.attempts) == (WHOLE_FILE, "MAPPING", 1)
    assert letter.sync_config_id == config.id
    await run(blobs)
    assert [row.attempts for row in (await letters(blobs)).values()] == [2]
    await blobs.reconfigure(schema_mapping=by_number({"type": "CONSTANT", "value": 1}))
    await run(blobs)
    assert await statuses(blobs) == {("none.txt", WHOLE_FILE): "RESOLVED"}


async def test_a_record_that_the_mapping_refuses_stays_a_letter_while_its_file_is_unchanged(reads: Harness) -> None:
    await reads.configure(use_blob_urls=False, schema_mapping=by_number({"type": "COLUMN", "key": "n"}))
    reads.s3.store.put(b"rows.jsonl", b'{"n": 1}\n{}\n')
    await run(reads)
    assert await statuses(reads) == {("rows.jsonl", 1): "QUARANTINED"}
    _, found = await run(reads)
    assert (found, await statuses(reads)) == ([], {("rows.jsonl", 1): "QUARANTINED"})


async def test_a_run_over_single_keys_settles_theirs_alone(reads: Harness) -> None:
    await reads.configure(use_blob_urls=False, checkpoint_frequency=1)
    names = (b"a.jsonl", b"b.jsonl", b"c.jsonl", b"d.jsonl")
    for name in names:
        reads.s3.store.put(name, b"bad\n{}\n")
    await run(reads)
    for name in (b"a.jsonl", b"d.jsonl"):
        reads.s3.store.put(name, b"{}\n{}\n")
    reads.s3.store.delete(b"c.jsonl")
    await note(reads, b"b.jsonl", b"c.jsonl", b"d.jsonl")
    await run(reads, onlyKeys=True)
    assert await statuses(reads) == {
        ("a.jsonl", 0): "QUARANTINED", ("b.jsonl", 0): "QUARANTINED",
        ("c.jsonl", 0): "RESOLVED", ("d.jsonl", 0): "RESOLVED",
    }  # fmt: skip


async def test_letters_of_keys_that_a_cut_off_run_did_not_come_to_stay(reads: Harness) -> None:
    await reads.configure(use_blob_urls=False, checkpoint_frequency=1, max_objects_per_run=2)
    for name in (b"a.jsonl", b"b.jsonl"):
        reads.s3.store.put(name, b"bad\n")
    await run(reads)
    for name in (b"a.jsonl", b"b.jsonl"):
        reads.s3.store.put(name, b"{}\n{}\n")
    await note(reads, b"a.jsonl", b"b.jsonl")
    await run(reads, onlyKeys=True)
    assert await statuses(reads) == {("a.jsonl", 0): "RESOLVED", ("b.jsonl", 0): "QUARANTINED"}
