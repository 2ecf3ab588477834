"""People who click too often, and who change their mind."""

import asyncio
import time
from typing import Any

import pytest

from tests.bad_input.user import User, counts, s3
from tests.support.s3_responder import Drop, Reply, Request, S3Responder, Stall

PAGE = 50


def held(server: S3Responder, *, after: int) -> asyncio.Event:
    """From now on the server answers so many requests and then is silent. The event: it has fallen silent."""
    silent, served, left = asyncio.Event(), server.answer, after

    def answer(request: Request) -> Reply | Drop | Stall:
        nonlocal left
        left -= 1
        if left >= 0:
            return served(request)
        silent.set()
        return Stall()

    server.answer = answer
    return silent


async def canceled(user: User, job: str) -> dict[str, Any]:
    """Cancels a job and waits for its end, which must come within 2 seconds."""
    began = time.monotonic()
    answer = await user.signal(job, "CANCEL")
    assert (answer["errors"], answer["job"]["status"] in ("CANCELING", "CANCELED")) == ([], True)
    state = await user.until(job)
    assert time.monotonic() - began < 2
    assert (state["status"], state["error"]) == ("CANCELED", None)
    return state


async def test_clicking_sync_twice_at_once_makes_one_job(user: User, server: S3Responder) -> None:
    server.store.put(b"a.png", b"png")
    storage = await user.storage(s3(server.endpoint, server.bucket), useBlobUrls=True)
    silent = held(server, after=0)
    server.requests.clear()
    answers = await asyncio.gather(*(user.try_sync(storage) for _ in range(6)))
    (winner,) = [answer["job"]["id"] for answer in answers if answer["job"] is not None]
    refused = [answer["errors"][0] for answer in answers if answer["job"] is None]
    assert len(refused) == 5
    for error in refused:
        assert (error["__typename"], error["code"]) == ("AlreadyRunningError", "ALREADY_RUNNING")
        assert error["job"]["id"] == winner
    async with asyncio.timeout(10):
        await silent.wait()
    (late,) = (await user.try_sync(storage))["errors"]
    assert (late["job"]["id"], late["job"]["status"]) == (winner, "IN_PROGRESS")
    assert len(server.requests) == 1  # nobody else lists
    await canceled(user, winner)
    found = await user.data("query($id: ID!) { storage(id: $id) { jobs { totalCount } } }", id=storage)
    assert found["storage"]["jobs"]["totalCount"] == 1


@pytest.mark.parametrize("blobs", [True, False])
@pytest.mark.parametrize("after", [0, 2])
async def test_a_sync_is_canceled_while_the_server_is_silent(
    user: User, server: S3Responder, blobs: bool, after: int
) -> None:
    """Before the first page; between two; while files are read."""
    server.page_size = PAGE
    for number in range(300):
        server.store.put(b"%03d.json" % number, b'{"n": 1}')
    storage = await user.storage(s3(server.endpoint, server.bucket), useBlobUrls=blobs)
    served = server.answer
    silent = held(server, after=after)
    job = await user.start(storage)
    async with asyncio.timeout(10):
        await silent.wait()
    await canceled(user, job)
    (again,) = (await user.signal(job, "CANCEL"))["errors"]
    assert (again["__typename"], again["code"]) == ("ConflictError", "CONFLICT")
    # The next sync finds all, as if nothing had been.
    server.answer = served
    state = await user.sync(storage)
    assert state["status"] == "COMPLETED"
    assert state["sync"]["objectsSynced"] + state["sync"]["objectsUnchanged"] == 300


async def test_a_sync_canceled_in_the_middle_keeps_its_counts_and_what_it_has(user: User, server: S3Responder) -> None:
    total = 1_500
    for number in range(total):
        server.store.put(b"%04d.json" % number, b'{"n": %d}' % number)
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project)
    served = server.answer
    held(server, after=1_200)  # the listing, and most of the files
    job = await user.start(storage)
    seen = await user.until(job, counted="objectsSynced")
    state = await canceled(user, job)
    kept = await user.objects(project)
    assert 0 < len(kept) == state["sync"]["objectsSynced"] >= seen["sync"]["objectsSynced"]
    assert state["sync"]["objectsMissing"] == 0
    assert state["storage"]["status"] == "CANCELED"
    server.answer = served
    after = await user.sync(storage)
    assert counts(after) == {"synced": total - len(kept), "unchanged": len(kept)}
    assert sorted(each["data"]["n"] for each in await user.objects(project)) == list(range(total))


async def test_a_listing_of_pages_canceled_in_the_middle(user: User, server: S3Responder) -> None:
    server.page_size = PAGE
    for number in range(1_000):
        server.store.put(b"%04d.png" % number, b"png")
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project, useBlobUrls=True)
    served = server.answer
    silent = held(server, after=10)
    job = await user.start(storage)
    async with asyncio.timeout(10):
        await silent.wait()
    state = await canceled(user, job)
    kept = await user.objects(project)
    assert len(kept) == state["sync"]["objectsSynced"]
    assert len(kept) <= state["sync"]["objectsFound"] <= 10 * PAGE
    server.answer = served
    assert counts(await user.sync(storage)).get("unchanged", 0) == len(kept)
    assert len(await user.objects(project)) == 1_000
