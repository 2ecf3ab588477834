"""BLOB mode: after each run the catalogue is the bucket."""

import asyncio
import random

import pytest

from models.job_state import FencedError
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError
from tests.support.s3_responder import Drop, Reply, Request, Stall, error
from tests.support.sync_harness import Harness, Killed, check, counts, kill_at

ODD_KEYS = [
    "../up", "a//b", "folder/", "new\nline", "emoji-😀", "per%2Fcent", "plus+plus", "space key",
    " ", "tab\t", "quote\"'<&>",
    "ü" * 512, "x" * 1024, "a/./b", "a/../b", "?query=1", "#fragment", "\x7f", "\x01", "back\\slash", "\u2028", "ﬀ",
]  # fmt: skip


async def test_a_run_finds_what_is_new_changed_unchanged_and_missing(blobs: Harness) -> None:
    store = blobs.s3.store
    for number in range(2_500):
        store.put(b"k/%05d.png" % number, b"x")
    assert counts(await blobs.sync()) == {"added": 2_500}
    assert await blobs.files() == blobs.bucket()
    assert counts(await blobs.sync()) == {"unchanged": 2_500}

    store.put(b"a-new", b"1")
    store.put(b"k/00007.png", b"changed")
    for key in (b"k/00000.png", b"k/01500.png", b"k/02499.png"):
        store.delete(key)
    assert counts(await blobs.sync()) == {"added": 1, "updated": 1, "unchanged": 2_496, "missing": 3}
    assert await blobs.files() == blobs.bucket()

    gone = (await blobs.objects(status="MISSING"))[b"k/01500.png", 0]
    assert gone.missing_since is not None
    store.put(b"k/01500.png", b"x")
    assert counts(await blobs.sync()) == {"updated": 1, "unchanged": 2_498}
    back = (await blobs.objects())[b"k/01500.png", 0]
    assert back.missing_since is None
    assert back.first_synced_at == gone.first_synced_at


async def test_odd_keys_are_objects_like_others(blobs: Harness) -> None:
    for key in ODD_KEYS:
        blobs.s3.store.put(key.encode(), b"content")
    assert counts(await blobs.sync()) == {"added": len(ODD_KEYS)}
    objects = await blobs.objects()
    assert {key for key, _ in objects} == {key.encode() for key in ODD_KEYS}
    assert {row.path for row in objects.values()} == set(ODD_KEYS)
    assert counts(await blobs.sync()) == {"unchanged": len(ODD_KEYS)}


async def test_an_object_carries_its_size_type_and_time(blobs: Harness) -> None:
    blobs.s3.store.put(b"photos/cat.JPG", b"12345")
    blobs.s3.store.put(b"table.csv", b"")
    await blobs.sync()
    cat, table = (await blobs.objects()).values()
    assert (cat.mime_type, cat.modality, cat.size_bytes) == ("image/jpeg", "IMAGE", 5)
    assert cat.source_modified_at is not None
    assert cat.source_modified_at.isoformat() == "2026-01-02T03:04:05.678000+00:00"
    assert (table.mime_type, table.modality, table.size_bytes) == ("text/csv", "TABULAR", 0)


async def test_folder_markers_and_the_regex_leave_out_and_are_counted(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in ("folder/", "folder/a.png", "folder/b.txt", "full/"):
        store.put(key.encode(), b"" if key == "folder/" else b"content")
    await blobs.update(regex_filter=r".*\.png|full/")
    sync = await blobs.sync()
    assert counts(sync) == {"added": 2, "filtered": 2}
    assert sync["filteredBy"] == {"folder_marker": 1, "regex": 1}
    # What a new filter leaves out is still in the source: not missing.
    await blobs.update(regex_filter=r".*\.txt")
    assert counts(await blobs.sync()) == {"added": 1, "filtered": 3}
    assert len(await blobs.objects()) == 3


async def test_only_the_top_level_without_recursion(blobs: Harness) -> None:
    for key in (b"a.png", b"deep/b.png", b"z.png"):
        blobs.s3.store.put(key, b"x")
    await blobs.update(recursive_scan=False)
    assert counts(await blobs.sync()) == {"added": 2}


async def test_an_emptied_bucket_changes_nothing_unless_allowed(blobs: Harness) -> None:
    store = blobs.s3.store
    keys = [b"%03d" % number for number in range(150)]
    for key in keys:
        store.put(key, b"x")
    await blobs.sync()
    for key in keys[:80]:
        store.delete(key)
    handle = await blobs.start()
    with pytest.raises(FatalError) as refusal:
        await blobs.run(handle)
    assert refusal.value.code == ErrorCode.LIMIT
    assert "80 of 150" in refusal.value.message
    assert len(await blobs.objects()) == 150

    # The same job again, with the bucket as it was: it looks at the source anew.
    for key in keys[:80]:
        store.put(key, b"x")
    assert counts(check(await blobs.run(await blobs.again(handle)))) == {"unchanged": 150}

    for key in keys[:80]:
        store.delete(key)
    assert counts(await blobs.sync(allowMassMissing=True)) == {"unchanged": 70, "missing": 80}
    assert await blobs.files() == blobs.bucket()


async def test_a_small_catalogue_may_go_missing_at_once(blobs: Harness) -> None:
    blobs.s3.store.put(b"only", b"x")
    await blobs.sync()
    blobs.s3.store.delete(b"only")
    assert counts(await blobs.sync()) == {"missing": 1}
    assert await blobs.files() == {}


async def test_more_missing_than_one_piece(blobs: Harness) -> None:
    store = blobs.s3.store
    keys = [b"%06d" % number for number in range(12_000)]
    for key in keys:
        store.put(key, b"x")
    await blobs.sync()
    for key in keys[100:]:
        store.delete(key)
    assert counts(await blobs.sync(allowMassMissing=True)) == {"unchanged": 100, "missing": 11_900}
    assert await blobs.files() == blobs.bucket()
    assert await blobs.candidates() == 0


async def test_full_sync_writes_every_object_again(blobs: Harness) -> None:
    blobs.s3.store.put(b"a", b"x")
    await blobs.sync()
    assert counts(await blobs.sync(fullSync=True)) == {"updated": 1}


async def test_a_dry_run_reports_and_writes_nothing(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"folder/", b"gone", b"kept", b"old"):
        store.put(key, b"" if key == b"folder/" else b"x")
    await blobs.sync()
    store.delete(b"gone")
    store.put(b"new", b"x")
    store.put(b"old", b"changed")
    before = await blobs.files()
    handle = await blobs.start(dryRun=True)
    sync = check(await blobs.run(handle))
    assert await blobs.files() == before
    report = sync["dryRunReport"]
    assert (report["added"], report["updated"], report["missing"], report["unchanged"]) == (1, 1, 1, 1)
    assert report["filtered"] == [{"rule": "folder_marker", "objects": 1}]
    assert [(item["path"], item["imported"], item["filteredBy"]) for item in report["samples"]] == [
        ("folder/", False, "folder_marker"), ("new", True, None), ("old", True, None),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_killed_anywhere_the_run_goes_on_and_nothing_is_lost_or_counted_twice(blobs: Harness, seed: int) -> None:
    chance = random.Random(seed)
    store = blobs.s3.store
    blobs.s3.page_size = 50
    expected: dict[str, int] = {}
    for _ in range(3):
        before = blobs.bucket() if expected else {}
        for _ in range(300):
            key = b"%03d" % chance.randrange(400)
            if chance.random() < 0.6:
                store.put(key, chance.randbytes(4))
            else:
                store.delete(key)
        after = blobs.bucket()
        expected = {
            "added": len(after.keys() - before.keys()),
            "updated": sum(before[key] != after[key] for key in before.keys() & after.keys()),
            "unchanged": sum(before[key] == after[key] for key in before.keys() & after.keys()),
            "missing": len(before.keys() - after.keys()),
        }
        known = set(await blobs.objects(status="MISSING"))
        back = sum((key, 0) in known for key in after)
        expected["added"] -= back
        expected["updated"] += back
        handle = await blobs.start(allowMassMissing=True)
        sync = None
        for _ in range(chance.randrange(4)):
            undo = kill_at(blobs.database, chance.randrange(1, 9))
            try:
                sync = check(await blobs.run(handle))
                break
            except Killed:
                handle = await blobs.again(handle)
            finally:
                undo()
        sync = sync or check(await blobs.run(handle))
        assert counts(sync) == {name: count for name, count in expected.items() if count}
        assert await blobs.files() == after


async def test_a_stopped_run_keeps_its_counts_and_goes_on(blobs: Harness) -> None:
    store = blobs.s3.store
    blobs.s3.page_size = 100
    for number in range(1_000):
        store.put(b"%04d" % number, b"x")
    handle = await blobs.start()
    original = blobs.s3.answer
    listed = 0

    def stop_at_third(request: Request) -> Reply | Drop | Stall:
        nonlocal listed
        listed += 1
        if listed == 4:
            handle.stop.set()
        return original(request)

    blobs.s3.answer = stop_at_third
    result = await blobs.run(handle)
    assert result.status is None
    stopped_at = result.columns["sync"]["objectsAdded"]
    assert 0 < stopped_at < 1_000
    assert len(await blobs.objects()) == stopped_at
    sync = check(await blobs.run(await blobs.again(handle)))
    assert counts(sync) == {"added": 1_000}


async def test_a_run_that_lost_its_lease_writes_nothing(blobs: Harness) -> None:
    blobs.s3.store.put(b"a", b"x")
    zombie = await blobs.start()
    await blobs.again(zombie)
    with pytest.raises(FencedError):
        await blobs.run(zombie)
    assert await blobs.files() == {}


async def test_slow_down_is_counted_and_never_fails_a_run(blobs: Harness) -> None:
    blobs.s3.store.put(b"a", b"x")
    blobs.s3.faults.extend([error(503, "SlowDown"), Reply(429, b"", {"Retry-After": "0"}), error(503, "SlowDown")])
    sync = await blobs.sync()
    assert sync["rateLimitHits"] == 3
    assert counts(sync) == {"added": 1}


async def test_a_listing_cut_in_the_middle_is_asked_for_again(blobs: Harness) -> None:
    store = blobs.s3.store
    blobs.s3.page_size = 10
    for number in range(40):
        store.put(b"%02d" % number, b"x")
    served = blobs.s3.answer

    def first_page(request: Request) -> Reply | Drop | Stall:
        return served(request)

    blobs.s3.faults.extend([first_page, Drop(), error(500, "InternalError"), Drop()])
    assert counts(await blobs.sync()) == {"added": 40}
    assert await blobs.files() == blobs.bucket()


async def test_a_dead_server_ends_the_run_as_retriable_and_the_next_goes_on(
    blobs: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.sync.run.LISTING_ATTEMPTS", 2)
    store = blobs.s3.store
    blobs.s3.page_size = 10
    for number in range(100):
        store.put(b"%02d" % number, b"x")
    handle = await blobs.start()
    original = blobs.s3.answer
    served = 0

    def die_later(request: Request) -> Reply | Drop | Stall:
        nonlocal served
        served += 1
        return original(request) if served <= 4 else Drop()

    blobs.s3.answer = die_later
    with pytest.raises(RetriableError):
        await blobs.run(handle)
    assert 0 < len(await blobs.objects()) < 100
    blobs.s3.answer = original
    sync = check(await blobs.run(await blobs.again(handle)))
    assert counts(sync) == {"added": 100}
    assert await blobs.files() == blobs.bucket()


async def test_a_run_stops_at_once_while_the_server_is_silent(blobs: Harness) -> None:
    asked = asyncio.Event()

    def be_silent(_request: Request) -> Stall:
        asked.set()
        return Stall()

    blobs.s3.always = be_silent
    handle = await blobs.start()
    running = asyncio.create_task(blobs.run(handle))
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 2)


async def test_progress_is_shown_with_absolute_counters(blobs: Harness) -> None:
    for number in range(3_000):
        blobs.s3.store.put(b"%04d" % number, b"x")
    handle = await blobs.start()
    await blobs.run(handle)
    phases = [state["phase"] for state in handle.states]
    assert phases[0] == "CONNECTING"
    assert "LISTING" in phases
    found = [state["objectsFound"] for state in handle.states]
    assert found == sorted(found)
