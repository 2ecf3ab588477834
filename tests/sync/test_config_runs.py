"""Runs of sync configurations: what each of their options makes of a bucket."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from models import job_state
from models.database import ALL
from models.job_state import JobSignal
from models.objects import StagedObject
from models.projects import Project
from models.source_events import NO_CONFIG, SourceEvent
from models.sync_configs import SyncConfig
from sluicegate.core.actors import Actor, ActorKind
from sluicegate.core.errors import ErrorCode, FatalError
from tests.support.s3_responder import Drop, Reply, Request, S3Responder, Stall, error
from tests.support.sync_harness import Harness, check, counts

ACTOR = Actor(kind=ActorKind.SYSTEM, id=None, name="test")


def field(target: str, kind: str, **source: Any) -> dict[str, Any]:
    """One mapping of a field."""
    required = source.pop("required", False)
    return {"target": target, "targetType": "FIELD", "source": {"type": kind, **source}, "required": required}


def mapping(*fields: dict[str, Any]) -> dict[str, Any]:
    """A schema mapping of these fields."""
    return {"mappings": list(fields)}


def asked(s3: S3Responder, what: str) -> list[Request]:
    """Records the requests whose address has `what` in it."""
    served, seen = s3.answer, []

    def answer(request: Request) -> Reply | Drop | Stall:
        if what in f"{request.method} {request.target}":
            seen.append(request)
        return served(request)

    s3.answer = answer
    return seen


async def config_of(ready: Harness) -> SyncConfig:
    """The configuration as it is."""
    assert ready.config is not None
    async with ready.database.read(ALL) as session:
        return await session.get_one(SyncConfig, ready.config.id)


async def staged(ready: Harness) -> dict[bytes, str]:
    """Key → fingerprint of the new versions that wait."""
    async with ready.database.read(ALL) as session:
        return {row.source_key: row.fingerprint for row in await session.scalars(select(StagedObject))}


# ---------------------------------------------------------------------------------------------- range, filters


async def test_a_configuration_covers_its_path_alone(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"a/1", b"b/", b"b/1", b"b/2", b"b0", b"c/1"):
        store.put(key, b"x")
    await blobs.sync()
    config = await blobs.configure(b"b/")
    store.delete(b"a/1")
    store.delete(b"b/1")
    store.put(b"b/3", b"x")
    listings = asked(blobs.s3, "list-type")
    assert counts(await blobs.sync()) == {"added": 1, "unchanged": 2, "missing": 1}
    assert all("prefix=b%2F" in request.target for request in listings)
    objects = await blobs.objects()
    assert {key for key, _ in objects} == {b"a/1", b"b/", b"b/2", b"b/3", b"b0", b"c/1"}
    assert objects[b"b/3", 0].sync_config_id == config.id
    assert objects[b"b/2", 0].sync_config_id is None
    # The storage's own sync sees what the configuration left, and what it changes is its own again.
    blobs.config = None
    store.put(b"b/3", b"changed")
    assert counts(await blobs.sync()) == {"updated": 1, "unchanged": 4, "missing": 1}
    assert (await blobs.objects())[b"b/3", 0].sync_config_id is None


async def test_rules_count_and_what_they_all_demand_is_all_that_is_listed(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"in/raw/a.png", b"in/raw/b.txt", b"in/raw/c.png", b"in/other/d.png"):
        store.put(key, b"x" * 10)
    store.put(b"in/raw/c.png", b"x" * 99)
    await blobs.configure(
        b"in/", file_filters={"includePatterns": ["raw/**"], "extensions": ["png"], "maxSizeBytes": 50}
    )
    listings = asked(blobs.s3, "list-type")
    sync = await blobs.sync()
    assert counts(sync) == {"added": 1, "filtered": 2}
    assert sync["filteredBy"] == {"extensions": 1, "max_size_bytes": 1}
    assert all("prefix=in%2Fraw%2F" in request.target for request in listings)
    # What an earlier filter let in is still to be found missing: then all of the path is listed.
    await blobs.reconfigure(file_filters=None)
    await blobs.sync()
    await blobs.reconfigure(file_filters={"includePatterns": ["raw/**"]})
    store.delete(b"in/other/d.png")
    listings.clear()
    assert counts(await blobs.sync()) == {"unchanged": 3, "missing": 1}
    assert all("prefix=in%2F&" in request.target + "&" for request in listings)


async def test_another_path_judges_what_lies_outside_of_it_once(blobs: Harness) -> None:
    store = blobs.s3.store
    for number in range(150):
        store.put(b"a/%03d" % number, b"x")
    store.put(b"b/1", b"x")
    await blobs.configure(b"a/")
    await blobs.sync()
    await blobs.reconfigure(range_low=b"b/", range_high=b"b0", rescan=True)
    assert counts(await blobs.sync()) == {"added": 1, "missing": 150}
    assert not (await config_of(blobs)).rescan
    assert set(await blobs.objects()) == {(b"b/1", 0)}
    assert counts(await blobs.sync()) == {"unchanged": 1}


# ---------------------------------------------------------------------------------------------- onUpdate, onDelete


async def test_updates_that_are_ignored_leave_objects_as_they_are(blobs: Harness) -> None:
    store = blobs.s3.store
    store.put(b"a", b"1")
    store.put(b"b", b"1")
    await blobs.configure(on_update="IGNORE")
    await blobs.sync()
    before = await blobs.files()
    store.put(b"a", b"2")
    store.put(b"c", b"1")
    assert counts(await blobs.sync(fullSync=True)) == {"added": 1, "unchanged": 2}
    assert (await blobs.files())[b"a"] == before[b"a"]
    # One that was gone is restored as it is now.
    store.delete(b"a")
    assert counts(await blobs.sync()) == {"unchanged": 2, "missing": 1}
    store.put(b"a", b"3")
    sync = await blobs.sync()
    assert (counts(sync), sync["objectsRestored"]) == ({"updated": 1, "unchanged": 2}, 1)
    assert await blobs.files() == blobs.bucket()


async def test_rows_that_changed_are_ignored_and_new_ones_are_not(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"1\n2\n")
    await reads.configure(use_blob_urls=False, on_update="IGNORE")
    await reads.sync()
    reads.s3.store.put(b"a.jsonl", b"9\n2\n3\n")
    assert counts(await reads.sync()) == {"added": 1, "unchanged": 2}
    assert list((await reads.data()).values()) == [1, 2, 3]


@pytest.mark.parametrize(("on_delete", "left", "missing"), [("REMOVE", None, 1), ("IGNORE", "SYNCED", 0)])
async def test_what_is_gone_is_removed_or_ignored(
    blobs: Harness, on_delete: str, left: str | None, missing: int
) -> None:
    blobs.s3.store.put(b"a", b"1")
    blobs.s3.store.put(b"b", b"1")
    await blobs.configure(on_delete=on_delete)
    await blobs.sync()
    blobs.s3.store.delete(b"a")
    sync = await blobs.sync()
    assert (sync["objectsMissing"], sync["objectsUnchanged"]) == (missing, 1)
    found = (await blobs.objects(status=None)).get((b"a", 0))
    assert (found and found.status) == left


async def test_how_much_may_go_missing_is_the_configuration_s(blobs: Harness) -> None:
    for number in range(150):
        blobs.s3.store.put(b"in/%03d" % number, b"x")
        blobs.s3.store.put(b"out/%03d" % number, b"x")
    await blobs.sync()
    await blobs.configure(b"in/", max_missing_fraction=0.1)
    for number in range(20):
        blobs.s3.store.delete(b"in/%03d" % number)
    handle = await blobs.start()
    with pytest.raises(FatalError, match="20 of 150") as refusal:
        await blobs.run(handle)
    assert refusal.value.code == ErrorCode.LIMIT
    await blobs.fail(handle)
    assert counts(await blobs.sync(allowMassMissing=True)) == {"unchanged": 130, "missing": 20}


# ---------------------------------------------------------------------------------------------- mapping


async def test_paths_tags_and_metadata_become_fields(blobs: Harness) -> None:
    store = blobs.s3.store
    for number in range(30):
        stored = store.put(b"in/cats/%02d.png" % number, b"%d" % number)
        stored.tags["split"] = f"s{number}"
        stored.headers["x-amz-meta-Owner"] = f"o{number}"
    fields = mapping(
        field("id", "FILENAME_REGEX", pattern=r"(\d+)\.png"), field("class", "FOLDER_PATH", segment=0),
        field("kind", "CONSTANT", value="image"), field("split", "TAG", key="split"),
        field("owner", "METADATA", key="owner"),
    )  # fmt: skip
    await blobs.configure(b"in/", schema_mapping=fields, batch_chunk_size=7)
    tags = asked(blobs.s3, "tagging")
    assert counts(await blobs.sync()) == {"added": 30}
    assert (await blobs.objects())[b"in/cats/07.png", 0].fields == {
        "id": "07", "class": "cats", "kind": "image", "split": "s7", "owner": "o7",
    }  # fmt: skip
    assert len(tags) == 30
    # Nothing is asked of what has not changed.
    assert counts(await blobs.sync()) == {"unchanged": 30}
    assert len(tags) == 30


async def test_another_mapping_maps_what_is_known_again(blobs: Harness) -> None:
    blobs.s3.store.put(b"cats/1", b"x")
    await blobs.sync()
    await blobs.configure(schema_mapping=mapping(field("class", "FOLDER_PATH", segment=0)))
    assert counts(await blobs.sync()) == {"updated": 1}
    assert counts(await blobs.sync()) == {"unchanged": 1}
    await blobs.reconfigure(schema_mapping=mapping(field("name", "CONSTANT", value="n")))
    assert counts(await blobs.sync()) == {"updated": 1}
    assert (await blobs.objects())[b"cats/1", 0].fields == {"name": "n"}
    # The schema that values are checked against is part of it.
    async with blobs.database.write(ALL) as session:
        project = await session.get_one(Project, blobs.storage.project_id)
        project.object_schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 0}}}
    assert counts(await blobs.sync()) == {"failed": 1}
    await blobs.reconfigure(schema_mapping=None)
    assert counts(await blobs.sync()) == {"updated": 1}
    assert counts(await blobs.sync()) == {"unchanged": 1}


async def test_an_object_that_cannot_be_mapped_fails_alone_and_is_tried_again(blobs: Harness) -> None:
    for key in (b"1.png", b"x.png", b"2.png"):
        blobs.s3.store.put(key, b"x")
    await blobs.configure(schema_mapping=mapping(field("id", "FILENAME_REGEX", pattern=r"(\d)\.png", required=True)))
    sync = await blobs.sync()
    assert counts(sync) == {"added": 2, "failed": 1}
    assert sync["lastErrors"][0]["path"] == "x.png"
    assert counts(await blobs.sync()) == {"unchanged": 2, "failed": 1}
    await blobs.reconfigure(schema_mapping=mapping(field("id", "FILENAME_REGEX", pattern=r"(.)\.png", required=True)))
    assert counts(await blobs.sync()) == {"added": 1, "updated": 2}


async def test_columns_become_fields_and_a_bad_row_fails_alone(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b'{"id": 1}\n{"no": 2}\n{"id": 3}\n')
    await reads.configure(use_blob_urls=False, schema_mapping=mapping(field("n", "COLUMN", key="id", required=True)))
    assert counts(await reads.sync()) == {"added": 2, "failed": 1}
    assert [row.fields for row in (await reads.objects()).values()] == [{"n": 1}, {"n": 3}]
    assert counts(await reads.sync()) == {"unchanged": 3}
    await reads.reconfigure(schema_mapping=mapping(field("n", "COLUMN", key="id")))
    assert counts(await reads.sync()) == {"added": 1, "updated": 2}


async def test_a_throttled_tag_slows_the_run_and_a_refused_one_fails_its_object(blobs: Harness) -> None:
    for key in (b"a", b"b", b"c"):
        blobs.s3.store.put(key, b"x").tags["t"] = key.decode()
    await blobs.configure(schema_mapping=mapping(field("t", "TAG", key="t")))
    served, slowed = blobs.s3.answer, 2

    def answer(request: Request) -> Reply | Drop | Stall:
        nonlocal slowed
        if "tagging" in request.target and request.key == b"a" and slowed:
            slowed -= 1
            return Reply(503, b"<Error><Code>SlowDown</Code></Error>", {"Retry-After": "0"})
        if "tagging" in request.target and request.key == b"b":
            return error(403, "AccessDenied")
        return served(request)

    blobs.s3.answer = answer
    sync = await blobs.sync()
    assert sync["rateLimitHits"] == 2
    assert counts(sync) == {"added": 2, "failed": 1}


# ---------------------------------------------------------------------------------------------- duplicates


async def test_content_that_the_project_has_is_left_out(blobs: Harness) -> None:
    store = blobs.s3.store
    store.put(b"old", b"same")
    await blobs.sync()
    store.put(b"a", b"same")
    store.put(b"b", b"new")
    store.put(b"c", b"new")
    await blobs.configure(skip_duplicates=True)
    assert counts(await blobs.sync()) == {"added": 1, "duplicate": 2, "unchanged": 1}
    assert set(await blobs.objects()) == {(b"b", 0), (b"old", 0)}
    assert counts(await blobs.sync()) == {"duplicate": 2, "unchanged": 2}
    # An object that becomes a duplicate stays what it was.
    before = await blobs.files()
    store.put(b"b", b"same")
    assert counts(await blobs.sync()) == {"duplicate": 3, "unchanged": 1}
    assert await blobs.files() == before
    # What is gone is nobody's duplicate.
    store.delete(b"b")
    assert counts(await blobs.sync()) == {"duplicate": 2, "unchanged": 1, "missing": 1}
    assert counts(await blobs.sync()) == {"added": 1, "duplicate": 1, "unchanged": 1}


async def test_without_a_hash_of_the_provider_the_bytes_are_read(
    blobs: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.providers.s3.provider.content_hash", lambda _entry: None)
    for key in (b"a", b"b", b"c"):
        blobs.s3.store.put(key, b"same" if key != b"b" else b"other")
    await blobs.configure(skip_duplicates=True, batch_chunk_size=2)
    assert counts(await blobs.sync()) == {"added": 2, "duplicate": 1}
    found = (await blobs.objects())[b"a", 0]
    assert found.content_hash == "md5:51037a4a37730f52c8732586d3aaa316:4"


async def test_what_failed_keeps_no_content_from_others(blobs: Harness) -> None:
    blobs.s3.store.put(b"a.png", b"same")
    blobs.s3.store.put(b"b1.png", b"same")
    fields = mapping(field("n", "FILENAME_REGEX", pattern=r"(\d)", required=True))
    await blobs.configure(skip_duplicates=True, schema_mapping=fields)
    assert counts(await blobs.sync()) == {"added": 1, "failed": 1}


async def test_records_that_the_project_has_are_left_out(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"1\n2\n1\n")
    await reads.sync()
    reads.s3.store.put(b"b.jsonl", b"2\n3\n3\n")
    await reads.configure(b"b", use_blob_urls=False, skip_duplicates=True)
    assert counts(await reads.sync()) == {"added": 1, "duplicate": 2}
    assert (await reads.data())[b"b.jsonl", 1] == 3


# ---------------------------------------------------------------------------------------------- limit


async def test_runs_with_a_limit_go_on_from_one_another_and_then_judge(blobs: Harness) -> None:
    store = blobs.s3.store
    blobs.s3.page_size = 20
    store.put(b"gone", b"x")
    await blobs.configure(max_objects_per_run=25)
    await blobs.sync()
    store.delete(b"gone")
    for number in range(60):
        store.put(b"%03d" % number, b"x")
    added, runs = [], 0
    while True:
        sync = await blobs.sync()
        runs += 1
        added.append(sync["objectsAdded"])
        if sync["listingComplete"]:
            break
        assert not sync["objectsMissing"]
        assert runs < 5
    assert added == [25, 25, 10]
    assert sync["objectsMissing"] == 1
    # The last one did not look at what the others had done.
    assert sync["objectsFound"] == 10
    assert await blobs.files() == blobs.bucket()
    assert counts(await blobs.sync()) == {"unchanged": 60}


async def test_a_limit_ends_a_run_in_the_middle_of_a_file(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.jsonl", b"".join(b"%d\n" % number for number in range(7)))
    large = [{"id": number, "text": "x" * 300} for number in range(1_500)]
    store.put(b"b.json", json.dumps(large).encode())
    store.put(b"c.jsonl", b"1\n")
    await reads.configure(use_blob_urls=False, max_objects_per_run=600)
    assert [(await reads.sync())["objectsAdded"] for _ in range(3)] == [600, 600, 308]
    data = await reads.data()
    assert [data[b"b.json", row] for row in range(1_500)] == large
    assert len(data) == 1_508
    assert counts(await reads.sync()) == {"unchanged": 1_508}


async def test_without_resume_a_run_begins_anew(blobs: Harness) -> None:
    blobs.s3.page_size = 10
    for number in range(40):
        blobs.s3.store.put(b"%02d" % number, b"x")
    await blobs.configure(max_objects_per_run=25, resume_enabled=False)
    assert counts(await blobs.sync()) == {"added": 25}
    assert counts(await blobs.sync()) == {"added": 15, "unchanged": 25}


# ---------------------------------------------------------------------------------------------- confirmation


async def test_nothing_is_shown_before_it_is_confirmed_and_then_all_at_once(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"changed", b"gone", b"kept"):
        store.put(key, b"1")
    await blobs.sync()
    before = await blobs.files()
    await blobs.configure(require_confirmation=True)
    store.put(b"changed", b"2")
    store.put(b"new", b"1")
    store.put(b"passing", b"1")
    store.delete(b"gone")
    first = await blobs.start()
    assert counts(check(await blobs.run(first))) == {"added": 2, "updated": 1, "unchanged": 1, "missing": 1}
    assert await blobs.files() == before

    # The next run looks at what waits as at what is there; what the source has no more waits no longer.
    store.delete(b"passing")
    assert counts(await blobs.sync()) == {"unchanged": 3, "missing": 1}
    store.put(b"new", b"2")
    handle = await blobs.start()
    assert counts(check(await blobs.run(handle))) == {"updated": 1, "unchanged": 2, "missing": 1}
    assert await blobs.files() == before
    assert set(await blobs.objects(status="STAGED")) == {(b"new", 0)}

    sync = await blobs.confirm(handle.job)
    assert (sync["objectsAdded"], sync["objectsUpdated"], sync["objectsMissing"]) == (1, 1, 1)
    assert await blobs.files() == blobs.bucket()
    assert set(await blobs.objects(status="MISSING")) == {(b"gone", 0)}
    assert await staged(blobs) == {}
    assert await blobs.candidates() == 0
    assert counts(await blobs.sync()) == {"unchanged": 3}

    # One that comes back waits too.
    store.put(b"gone", b"1")
    handle = await blobs.start()
    assert counts(check(await blobs.run(handle))) == {"updated": 1, "unchanged": 3}
    assert set(await blobs.objects(status="MISSING")) == {(b"gone", 0)}
    await blobs.confirm(handle.job)
    assert await blobs.files() == blobs.bucket()


async def test_records_wait_for_confirmation_too(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"1\n2\n3\n")
    await reads.sync()
    await reads.configure(use_blob_urls=False, require_confirmation=True)
    reads.s3.store.put(b"a.jsonl", b"1\n9\n")
    reads.s3.store.put(b"b.jsonl", b"5\n")
    handle = await reads.start()
    assert counts(check(await reads.run(handle))) == {"added": 1, "updated": 1, "unchanged": 1, "missing": 1}
    assert list((await reads.data()).values()) == [1, 2, 3]
    await reads.confirm(handle.job)
    assert sorted((await reads.data()).items()) == [((b"a.jsonl", 0), 1), ((b"a.jsonl", 1), 9), ((b"b.jsonl", 0), 5)]


async def test_a_configuration_that_waits_no_more_shows_what_is_in_its_source(blobs: Harness) -> None:
    store = blobs.s3.store
    store.put(b"a", b"1")
    await blobs.sync()
    await blobs.configure(require_confirmation=True)
    for key in (b"a", b"b", b"c"):
        store.put(key, b"2")
    await blobs.sync()
    await blobs.reconfigure(require_confirmation=False)
    store.delete(b"c")
    assert counts(await blobs.sync()) == {"added": 1, "updated": 1}
    assert await blobs.files() == blobs.bucket()
    assert await staged(blobs) == {}
    assert await blobs.objects(status="STAGED") == {}


# ---------------------------------------------------------------------------------------------- single keys


async def tell(ready: Harness, *keys: bytes) -> None:
    """The source tells of these keys."""
    async with ready.database.write(ALL) as session:
        config = NO_CONFIG if ready.config is None else ready.config.id
        session.add_all(SourceEvent(storage_id=ready.storage.id, sync_config_id=config, source_key=key) for key in keys)


async def told(ready: Harness) -> list[bytes]:
    """The keys that still wait."""
    async with ready.database.read(ALL) as session:
        return list(await session.scalars(select(SourceEvent.source_key)))


async def test_only_the_keys_that_were_told_of_are_looked_at(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"in/a", b"in/b", b"in/c", b"in/x.txt", b"out"):
        store.put(key, b"1")
    await blobs.configure(b"in/", file_filters={"excludePatterns": ["*.txt"]})
    await blobs.sync()
    store.put(b"in/a", b"2")
    store.put(b"in/b", b"2")
    store.put(b"in/new", b"1")
    store.delete(b"in/c")
    await tell(blobs, b"in/a", b"in/c", b"in/new", b"in/x.txt", b"out")
    listings = asked(blobs.s3, "list-type")
    assert counts(await blobs.sync(onlyKeys=True)) == {"added": 1, "updated": 1, "filtered": 1, "missing": 1}
    assert not listings
    assert await told(blobs) == []
    assert counts(await blobs.sync()) == {"updated": 1, "unchanged": 2, "filtered": 1}


async def test_files_that_were_told_of_are_read_again_though_they_look_the_same(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"1\n2\n")
    reads.s3.store.put(b"b.jsonl", b"1\n")
    await reads.sync()
    reads.s3.store.put(b"b.jsonl", b"1\n2\n")
    await tell(reads, b"a.jsonl", b"b.jsonl", b"gone.jsonl")
    assert counts(await reads.sync(onlyKeys=True)) == {"added": 1, "unchanged": 3}
    assert await told(reads) == []


async def test_more_keys_than_the_limit_are_left_for_the_next_run(blobs: Harness) -> None:
    await blobs.configure(max_objects_per_run=3)
    keys = [b"%d" % number for number in range(5)]
    for key in keys:
        blobs.s3.store.put(key, b"x")
    await tell(blobs, *keys)
    assert counts(await blobs.sync(onlyKeys=True)) == {"added": 3}
    assert await told(blobs) == keys[3:]
    assert counts(await blobs.sync(onlyKeys=True)) == {"added": 2}


async def test_a_retry_of_an_unconfirmed_run_notes_again_what_is_missing(blobs: Harness) -> None:
    blobs.s3.store.put(b"a1", b"x")
    blobs.s3.store.put(b"b", b"x")
    await blobs.sync()
    await blobs.configure(
        require_confirmation=True,
        schema_mapping=mapping(field("n", "FILENAME_REGEX", pattern=r"(\d)", required=True)),
    )
    blobs.s3.store.delete(b"b")
    blobs.s3.store.put(b"c", b"x")
    handle = await blobs.start()
    assert counts(check(await blobs.run(handle))) == {"updated": 1, "failed": 1, "missing": 1}
    async with blobs.database.write(ALL) as session:
        await job_state.signal(session, handle.job.id, JobSignal.RETRY, actor=ACTOR)
    again = await blobs.again(handle)
    blobs.s3.store.put(b"c1", b"x")
    assert counts(check(await blobs.run(again))) == {"added": 1, "unchanged": 1, "failed": 1, "missing": 1}
    sync = await blobs.confirm(handle.job)
    assert (sync["objectsAdded"], sync["objectsUpdated"], sync["objectsMissing"]) == (1, 1, 1)
    assert {key for key, _ in await blobs.objects()} == {b"a1", b"c1"}
