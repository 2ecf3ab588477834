"""Messages reach their receiver, whatever it does in between, signed so that anyone can verify them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from models.database import ALL
from models.deliveries import BatchStatus, Delivery
from models.delivery_health import failing_webhooks
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core import logging as ours
from sluicegate.core.ids import encode_id
from sluicegate.webhooks import sending
from sluicegate.webhooks.payloads import MAX_BODY_BYTES
from sluicegate.webhooks.schedule import MAX_ATTEMPTS, WAITS_SECONDS
from tests.support.command import restored_logging
from tests.support.s3_responder import Drop, Fault, Reply, Stall
from tests.support.webhooks import Hooks, payload


async def test_a_batch_arrives_and_an_independent_library_verifies_it(hooks: Hooks) -> None:
    hook = await hooks.hook()
    first = await hooks.object(b"a.png")
    second = await hooks.object(b"table.csv", 7)
    batch = await hooks.batch(hook, (b"table.csv", 7), (b"gone.png", 0), (b"a.png", 0), number=12)
    async with hooks.delivering():
        row = await hooks.ended(batch)
    (request,) = hooks.receiver.taken
    told = Webhook(hook.secret).verify(request.body, request.headers)
    assert told["type"] == "batch.ready"
    assert datetime.fromisoformat(told["timestamp"]) == row.created_at
    assert told["data"] == {
        "id": encode_id("Batch", batch),
        "number": 12,
        "syncConfigId": encode_id("SyncConfig", hook.config_id),
        "jobId": encode_id("Job", hook.job_id),
        "objects": [
            {"id": encode_id("SyncedObject", second), "path": "table.csv", "row": 7, "status": "SYNCED"},
            {"id": encode_id("SyncedObject", first), "path": "a.png", "row": 0, "status": "SYNCED"},
        ],
    }
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == row.message_id
    assert (row.items, row.last_error, row.next_attempt_at, row.attempts) == (None, None, None, 1)
    assert row.delivered_at == hooks.clock()


async def test_a_message_written_while_the_loop_waits_goes_out_at_once(hooks: Hooks) -> None:
    hook = await hooks.hook()
    async with hooks.delivering(look=3600.0):
        await hooks.ended(await hooks.batch(hook))
        await hooks.ended(await hooks.batch(hook, number=2))


async def test_what_found_no_place_goes_out_when_one_is_free(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    batches = [await local_hooks.batch(hook, number=number) for number in range(1, 20)]
    async with local_hooks.delivering(look=3600.0):
        for batch in batches:
            await local_hooks.ended(batch)


async def test_a_first_attempt_under_way_is_no_failure(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    local_hooks.receiver.say("/hook", Stall())
    await local_hooks.batch(hook)
    async with local_hooks.delivering(close=0.01):
        await local_hooks.receiver.wait("/hook")
        async with local_hooks.database.read(ALL) as session:
            assert await failing_webhooks(session, [hook.config_id]) == {}


async def test_attempts_are_spread_over_hours_and_then_end(hooks: Hooks) -> None:
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(500, b"a secret in the body"))
    batch = await hooks.batch(hook)
    async with hooks.delivering():
        for attempt, wait in enumerate(WAITS_SECONDS, start=1):
            row = await hooks.tried(batch, attempt)
            assert row.next_attempt_at is not None
            waits = (row.next_attempt_at - hooks.clock()).total_seconds()
            assert wait <= waits <= 1.2 * wait
            hooks.forward(wait - 0.01)
            assert len(hooks.receiver.taken) == attempt
            hooks.forward(0.2 * wait + 0.02)
        row = await hooks.ended(batch, BatchStatus.FAILED)
    assert (row.attempts, row.last_error) == (MAX_ATTEMPTS, "The receiver answered 500 Internal Server Error.")
    assert row.items is None
    requests = hooks.receiver.of("/hook")
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.headers["webhook-timestamp"] for request in requests}) == MAX_ATTEMPTS
    assert len({request.headers["webhook-signature"] for request in requests}) == MAX_ATTEMPTS


async def test_a_receiver_that_comes_back_gets_what_it_missed(hooks: Hooks) -> None:
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(502), Reply(204))
    batch = await hooks.batch(hook)
    async with hooks.delivering():
        await hooks.tried(batch)
        async with hooks.database.read(ALL) as session:
            failing = await failing_webhooks(session, [hook.config_id])
        assert failing == {hook.config_id: "The webhook fails: The receiver answered 502 Bad Gateway."}
        hooks.forward(6.0)
        row = await hooks.ended(batch)
    assert row.attempts == 2
    async with hooks.database.read(ALL) as session:
        assert await failing_webhooks(session, [hook.config_id]) == {}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date", "nonsense", "years", "no year"])
async def test_a_receiver_says_when_to_come_again(local_hooks: Hooks, status: int, form: str) -> None:
    hooks = local_hooks
    hooks.clock.time = hooks.clock().replace(microsecond=0)
    later = format_datetime((hooks.clock() + timedelta(seconds=77)).astimezone(UTC), usegmt=True)
    value, wait = {
        "seconds": ("77", 77),
        "date": (later, 77),
        "nonsense": ("soon", 5),
        "years": ("9e9", 86400),
        "no year": ("Wed, 21 Oct 99999999999 07:28:00 GMT", 5),
    }[form]
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(status, b"", {"Retry-After": value}))
    async with hooks.delivering():
        row = await hooks.tried(await hooks.batch(hook))
    assert row.next_attempt_at is not None
    waits = (row.next_attempt_at - hooks.clock()).total_seconds()
    assert wait <= waits <= (6 if wait == 5 else wait)


async def test_gone_is_the_end(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    local_hooks.receiver.say("/hook", Reply(410))
    async with local_hooks.delivering():
        row = await local_hooks.ended(await local_hooks.batch(hook), BatchStatus.FAILED)
    assert (row.attempts, row.last_error) == (1, "The receiver answered 410 Gone. It wants no more messages.")


FAULTS: dict[str, tuple[Fault, str]] = {
    "a redirect": (Reply(307, b"", {"Location": "/elsewhere"}), "The receiver answered 307 Temporary Redirect. Redi"),
    "a cut connection": (Drop(), "The connection to 127.0.0.1 was cut."),
    "silence": (Stall(), "127.0.0.1 did not answer in time."),
    "a status of its own": (Reply(799, b"", {}), "The receiver answered 799."),
    "a bad request": (Reply(400, b"x" * 20_000), "The receiver answered 400 Bad Request."),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_not_2xx_is_tried_again(local_hooks: Hooks, fault: str) -> None:
    answer, error = FAULTS[fault]
    hook = await local_hooks.hook()
    local_hooks.receiver.say("/hook", answer)
    async with local_hooks.delivering(timeout=0.3):
        row = await local_hooks.tried(await local_hooks.batch(hook))
    assert (row.status, row.attempts) == (BatchStatus.PENDING, 1)
    assert row.last_error is not None
    assert row.last_error.startswith(error)
    assert [request.target for request in local_hooks.receiver.taken] == ["/hook"]


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"x" * 5_000_000, cut=100_000),
        Reply(202, b"x" * 100, cut=10),
        Reply(200, b"5\r\nhello\r\n", {"Transfer-Encoding": "chunked"}),
    ],
    ids=["huge", "cut", "endless"],
)
async def test_the_body_of_an_answer_is_nothing_to_wait_for(
    local_hooks: Hooks, monkeypatch: pytest.MonkeyPatch, answer: Reply
) -> None:
    monkeypatch.setattr(sending, "_DRAIN_SECONDS", 3600.0)  # what is too long or has no end is not even begun
    hook = await local_hooks.hook()
    local_hooks.receiver.say("/hook", answer)
    async with local_hooks.delivering(timeout=0.5):
        await local_hooks.ended(await local_hooks.batch(hook))
    assert len(local_hooks.receiver.taken) == 1


async def test_a_body_is_never_longer_than_its_limit(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    keys = [b"%03d" % number + b"\x01" * 1_000 for number in range(100)]
    ids = [await local_hooks.object(key) for key in keys]
    async with local_hooks.delivering():
        await local_hooks.ended(await local_hooks.batch(hook, *[(key, 0) for key in keys]))
    (request,) = local_hooks.receiver.taken
    assert len(request.body) <= MAX_BODY_BYTES
    objects = payload(request)["data"]["objects"]
    assert [item["id"] for item in objects] == [encode_id("SyncedObject", number) for number in ids]
    assert {item["path"] for item in objects} == {None}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": SyncConfigStatus.ARCHIVED}, "The configuration was archived."),
        ({"webhook_url": None}, "The webhook was removed."),
        ({"webhook_events": ["SYNC_FAILED"]}, "The webhook is not told of this event any more."),
    ],
)
async def test_what_nobody_wants_any_more_is_not_sent(hooks: Hooks, change: dict[str, object], reason: str) -> None:
    hook, other = await hooks.hook(), await hooks.hook("/other")
    batches = [await hooks.batch(hook, (b"a", 0), number=number) for number in range(1, 8)]
    await hooks.change(hook, **change)
    async with hooks.delivering():
        for batch in batches:
            row = await hooks.ended(batch, BatchStatus.SKIPPED)
            assert (row.last_error, row.items, row.attempts) == (reason, None, 0)
        await hooks.ended(await hooks.batch(other))
    assert not hooks.receiver.of("/hook")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the gateway logs when it says all it can."""
    stream = io.StringIO()
    with restored_logging():
        ours.configure(form="json", level="debug", stream=stream)
        yield stream


async def test_no_secret_is_in_a_log_or_an_error(local_hooks: Hooks, log: io.StringIO) -> None:
    hook = await local_hooks.hook("/hook?token=in-the-url")
    local_hooks.receiver.say(hook.path, Reply(500, b"from-the-body"), Drop(), Reply(302), Stall())
    batch = await local_hooks.batch(hook)
    errors: list[str | None] = []
    async with local_hooks.delivering(timeout=0.3):
        for attempt in range(1, 5):
            errors.append((await local_hooks.tried(batch, attempt)).last_error)
            local_hooks.forward(3600)
    assert log.getvalue().count("Webhook of config") >= 4
    text = log.getvalue() + str(errors)
    assert len(set(errors)) == 4
    for secret in (hook.secret, hook.secret.removeprefix("whsec_"), "in-the-url", "from-the-body"):
        assert secret not in text


async def test_a_secret_that_cannot_be_opened_is_told_and_tried_again(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    other = await local_hooks.hook("/other")
    async with local_hooks.database.read(ALL) as session:
        foreign = (await session.get_one(SyncConfig, other.config_id)).sealed_webhook_secret
    await local_hooks.change(hook, sealed_webhook_secret=foreign)
    async with local_hooks.delivering():
        row = await local_hooks.tried(await local_hooks.batch(hook))
    assert row.last_error == "Stored credentials belong to another row."
    assert not local_hooks.receiver.taken


async def test_an_error_of_our_own_ends_as_the_receivers_do_and_is_logged_once_without_the_url(
    local_hooks: Hooks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{local_hooks.receiver.endpoint}/token"

    async def explode(*_: object, **__: object) -> None:
        raise KeyError(url)

    monkeypatch.setattr("sluicegate.webhooks.delivery.send", explode)
    batch = await local_hooks.batch(await local_hooks.hook())
    async with local_hooks.delivering():
        for attempt, wait in enumerate(WAITS_SECONDS, start=1):
            row = await local_hooks.tried(batch, attempt)
            assert row.next_attempt_at is not None
            assert wait <= (row.next_attempt_at - local_hooks.clock()).total_seconds() <= 1.2 * wait
            local_hooks.forward(1.2 * wait + 0.01)
        row = await local_hooks.ended(batch, BatchStatus.FAILED)
    assert (row.attempts, row.last_error) == (MAX_ATTEMPTS, "An unexpected error of the gateway.")
    assert len(caplog.records) == MAX_ATTEMPTS
    assert "in explode" in caplog.text
    assert "KeyError" in caplog.text
    assert url not in caplog.text


async def test_a_message_whose_attempts_never_end_is_given_up(local_hooks: Hooks) -> None:
    batch = await local_hooks.batch(await local_hooks.hook())
    async with local_hooks.database.write(ALL) as session:
        (await session.get_one(Delivery, batch)).attempts = MAX_ATTEMPTS
    async with local_hooks.delivering():
        row = await local_hooks.ended(batch, BatchStatus.FAILED)
    assert row.last_error == "The gateway could not end any of its last attempts."
    assert not local_hooks.receiver.taken
