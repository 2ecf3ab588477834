"""A bucket's notifications from its queue: moto's real ones, and what servers and senders can do wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from yarl import URL

from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, ThrottledError
from sluicegate.core.net import Connector
from sluicegate.providers import s3
from sluicegate.providers.base import CheckStatus, EventBatch, ObjectEvent, Provider
from sluicegate.providers.s3 import events
from sluicegate.providers.s3 import queue as sqs
from sluicegate.providers.s3.credentials import credential_source
from sluicegate.providers.s3.queue import Queue, queue_region
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.throttle import Throttle
from tests.providers.conformance import checks_of
from tests.providers.s3_sources import Bucket
from tests.support import moto_server
from tests.support.moto_server import MotoServer
from tests.support.s3_responder import Drop, Fault, Reply, Request, S3Responder, Stall

SECRET = "secret-of-a-test"
NAME = "/000000000000/queue"


class Notifying(Bucket):
    """A bucket of moto whose notifications go to a queue."""

    def queue(self, url: str) -> Queue:
        context = self.context()
        settings = s3.parse(self.values, context=context)
        return Queue(self.connector, settings, url, credential_source(settings, context), Throttle())

    async def connect(self) -> None:
        """Makes the queue, and lets the bucket write to it."""
        name = f"queue-{uuid4().hex}"
        made = await self.queue(f"{self.endpoint}{NAME}").call("CreateQueue", QueueName=name)
        self.url: str = made["QueueUrl"]
        self.values["event_queue_url"] = self.url
        await self.request(
            "PUT",
            None,
            (
                "<NotificationConfiguration><QueueConfiguration><Id>all</Id>"
                f"<Queue>arn:aws:sqs:us-east-1:123456789012:{name}</Queue>"
                "<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>"
                "</QueueConfiguration></NotificationConfiguration>"
            ).encode(),
            query={"notification": ""},
        )

    async def send(self, *bodies: str) -> None:
        """Messages that did not come from moto."""
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
        assert not (await self.queue(self.url).call("SendMessageBatch", Entries=entries)).get("Failed")


@pytest.fixture
async def notifying(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notifying]:
    monkeypatch.setattr(events, "WAIT_SECONDS", 1)
    values = (moto.endpoint, moto.create_bucket(), moto_server.ACCESS_KEY, moto_server.SECRET_KEY)
    async with Notifying(*values) as bucket:
        await bucket.connect()
        yield bucket


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        yield responder


@pytest.fixture
async def source(server: S3Responder) -> AsyncIterator[Bucket]:
    async with Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", SECRET) as bucket:
        bucket.values["event_queue_url"] = server.endpoint + NAME
        yield bucket


async def first_batch(provider: Provider) -> EventBatch:
    async with aclosing(provider.events()) as batches:
        return await anext(batches)


async def events_of(provider: Provider, count: int) -> list[ObjectEvent]:
    """The next `count` events, acknowledged."""
    found: list[ObjectEvent] = []
    async with aclosing(provider.events()) as batches:
        async for batch in batches:
            found += batch.events
            await batch.ack()
            if len(found) >= count:
                break
    return found


async def test_what_happens_in_a_bucket_comes_with_its_keys(notifying: Notifying) -> None:
    keys = [b"plain", b"a b+c", b"pct%2Fx%", "d/\u00e9-\U0001f600".encode(), b"q?x=1&y#z", b"<&>\"'", b"new"]
    for key in keys:
        await notifying.put(key, b"1")
    await notifying.put(b"plain", b"2")
    await notifying.delete(b"a b+c")
    async with notifying.open() as provider:
        found = await events_of(provider, len(keys) + 2)
        assert sorted(found) == sorted(
            [ObjectEvent(key, removed=False) for key in [*keys, b"plain"]] + [ObjectEvent(b"a b+c", removed=True)]
        )
        assert found.count(ObjectEvent(b"plain", removed=False)) == 2


async def test_only_keys_of_the_storage_s_prefix_come(notifying: Notifying) -> None:
    for key in (b"other/x", b"mine", b"mine/x"):
        await notifying.put(key, b"1")
    async with notifying.open(prefix="mine/") as provider:
        assert await events_of(provider, 1) == [ObjectEvent(b"mine/x", removed=False)]


async def test_nothing_is_deleted_but_by_ack(notifying: Notifying) -> None:
    queue = notifying.queue(notifying.url)
    await queue.call(
        "SetQueueAttributes", Attributes={"VisibilityTimeout": "0"}
    )  # an unacknowledged one is back at once
    await notifying.send("no json")
    await notifying.put(b"a", b"1")
    seen: set[bytes] = set()
    async with notifying.open() as provider:
        async with aclosing(provider.events()) as batches:
            for _ in range(3):
                batch = await anext(batches)
                seen |= {event.key for event in batch.events}
        assert seen == {b"a"}
        while await _left(queue):
            async with aclosing(provider.events()) as batches:
                await (await anext(batches)).ack()


async def _left(queue: Queue) -> int:
    found = await queue.call("GetQueueAttributes", AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def record(
    key: str, event: str = "ObjectCreated:Put", bucket: str = "bucket", origin: str = "aws:s3"
) -> dict[str, Any]:
    return {"eventSource": origin, "eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def records(*all_of: Any) -> str:
    return json.dumps({"Records": list(all_of)})


def sns(message: str, kind: str = "Notification") -> str:
    return json.dumps({"Type": kind, "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": message, "MessageId": "m"})


def bridged(key: Any, kind: str = "Object Created", bucket: str = "bucket") -> str:
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": kind, "detail": detail})


def created(*keys: bytes) -> list[ObjectEvent]:
    return [ObjectEvent(key, removed=False) for key in keys]


def removed(*keys: bytes) -> list[ObjectEvent]:
    return [ObjectEvent(key, removed=True) for key in keys]


UNDERSTOOD: list[tuple[str, list[ObjectEvent]]] = [
    (records(record("a"), record("b+c%2B%C3%A9", "ObjectRemoved:Delete")),
     created(b"a") + removed("b c+\u00e9".encode())),
    (records(record("a", "ObjectCreated:CompleteMultipartUpload"), record("b", "ObjectCreated:Copy")),
     created(b"a", b"b")),
    (records(record("a", "ObjectRemoved:DeleteMarkerCreated")), removed(b"a")),
    (records(record("a", "LifecycleExpiration:Delete")), removed(b"a")),
    (records(record("a", "LifecycleExpiration:DeleteMarkerCreated")), removed(b"a")),
    (records(*(record("a", event) for event in (
        "ObjectRestore:Completed", "ObjectTagging:Put", "ObjectAcl:Put", "LifecycleTransition", "Replication:Other",
        "IntelligentTiering", "ReducedRedundancyLostObject", "TestEvent",
    ))), []),
    (records(record("a", bucket="another")), []),
    (records(record("a", origin="aws:sqs")), []),
    (records(record("a", "s3:ObjectCreated:Put", origin="minio:s3")), created(b"a")),
    (records(record("a", "ObjectCreated:Put", origin="ceph:s3")), created(b"a")),
    (records(record("latin-%E9")), created(b"latin-\xe9")),
    (records(), []),
    (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}), []),
    (sns(records(record("a+b"))), created(b"a b")),
    (sns(json.dumps({"Event": "s3:TestEvent"})), []),
    (sns("You have chosen to subscribe", "SubscriptionConfirmation"), []),
    (bridged("a+b %2F"), created(b"a+b %2F")),
    (bridged("a", "Object Deleted"), removed(b"a")),
    (bridged("a", "Object Tags Added"), []),
    (bridged("a", bucket="another"), []),
    (sns(bridged("a")), created(b"a")),
]  # fmt: skip


async def test_every_form_of_a_message_is_understood(server: S3Responder, source: Bucket) -> None:
    async with source.open() as provider:
        for body, expected in UNDERSTOOD:
            server.faults.append(received(body))
            batch = await first_batch(provider)
            assert (batch.events, batch.malformed) == (expected, 0), body


MALFORMED = [
    "", "no json", "7", "null", "[]", "{}", '"Records"', '{"Records": 7}', '{"Records": null}', "[" * 100_000,
    "1" * 5000, records(7), records(None), records({}),
    records({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}),
    records(record("")), records(record("%61" * 1025)), records({**record("a"), "s3": {"bucket": [], "object": {}}}),
    records({**record("a"), "s3": {"bucket": {"name": "bucket"}, "object": {"key": 7}}}), sns("no json"), sns("7"),
    json.dumps({"Type": "Notification", "TopicArn": "t"}), bridged(7), bridged("\ud800"), records(record("\ud800")),
    json.dumps({"source": "aws.s3"}), json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": []}),
    json.dumps({"source": "aws.ec2", "detail-type": "Instance", "detail": {}}),
]  # fmt: skip


async def test_what_is_no_event_is_counted_and_stops_nothing(
    server: S3Responder, source: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    async with source.open() as provider:
        for body in MALFORMED:
            server.faults.append(received(body, records(record("good"))))
            with caplog.at_level(logging.WARNING):
                batch = await first_batch(provider)
            assert (batch.events, batch.malformed) == (created(b"good"), 1), body[:200]
        server.faults.append(received(records(record("one"), {}, record("two"))))
        batch = await first_batch(provider)
        assert (batch.events, batch.malformed) == (created(b"one", b"two"), 1)
    assert len(caplog.records) >= len(MALFORMED)
    assert "no json" not in caplog.text


async def test_a_malformed_message_goes_with_the_others_on_ack(notifying: Notifying) -> None:
    await notifying.send("no json", records(record("a", bucket=notifying.bucket)))
    async with notifying.open() as provider:
        assert await events_of(provider, 1) == created(b"a")
        async with aclosing(provider.events()) as batches:
            while await _left(notifying.queue(notifying.url)):
                await (await anext(batches)).ack()


def received(*bodies: str) -> Reply:
    """SQS's answer with these messages."""
    messages = [{"MessageId": f"m{n}", "ReceiptHandle": f"r{n}", "Body": body} for n, body in enumerate(bodies)]
    return Reply(200, json.dumps({"Messages": messages} if bodies else {}).encode())


async def test_requests_are_signed_for_the_queue_and_say_what_they_want(server: S3Responder, source: Bucket) -> None:
    server.faults.extend([received("{}", "{}"), Reply(200, b'{"Successful": []}')])
    async with source.open(region_name="eu-west-3", aws_session_token="token-of-a-test") as provider:
        await (await first_batch(provider)).ack()
    asked, deleted = server.requests
    for request in (asked, deleted):
        assert (request.method, request.target) == ("POST", "/")
        assert "/eu-west-3/sqs/aws4_request" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "token-of-a-test"
        assert request.headers["content-type"] == "application/x-amz-json-1.0"
        assert SECRET not in str(request)
    assert asked.headers["x-amz-target"] == "AmazonSQS.ReceiveMessage"
    url = server.endpoint + NAME
    assert json.loads(asked.body) == {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20}
    assert deleted.headers["x-amz-target"] == "AmazonSQS.DeleteMessageBatch"
    entries = [{"Id": "0", "ReceiptHandle": "r0"}, {"Id": "1", "ReceiptHandle": "r1"}]
    assert json.loads(deleted.body) == {"QueueUrl": url, "Entries": entries}


async def test_messages_that_stay_are_logged(
    server: S3Responder, source: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.extend([received("{}"), Reply(200, b'{"Failed": [{"Id": "0"}], "Successful": []}')])
    async with source.open() as provider:
        await (await first_batch(provider)).ack()
    assert "1 of 1 messages were not deleted" in caplog.text


async def test_a_queue_that_does_not_wait_is_not_asked_at_once_again(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.extend([received(), received(), received(records(record("a")))])
    slept: list[float] = []

    class Clockless:
        Semaphore = asyncio.Semaphore

        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    monkeypatch.setattr(events, "asyncio", Clockless())
    async with source.open() as provider:
        assert (await first_batch(provider)).events == created(b"a")
    assert slept == [1.0, 1.0]


async def test_listening_ends_at_once_while_the_server_waits(server: S3Responder, source: Bucket) -> None:
    asked = asyncio.Event()

    def wait(_: Request) -> Stall:
        asked.set()
        return Stall()

    server.always = wait
    async with source.open() as provider:
        task = asyncio.create_task(first_batch(provider))
        await asked.wait()
        task.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_many_queues_take_turns_and_leave_connections_to_the_rest(server: S3Responder, source: Bucket) -> None:
    waiting = asyncio.Event()
    asked: list[int] = []

    def answer(request: Request) -> Reply | Stall:
        asked.append(json.loads(request.body)["WaitTimeSeconds"])
        if len(asked) <= events.MAX_WAITING:
            if len(asked) == events.MAX_WAITING:
                waiting.set()
            return Stall()
        return received(records(record("a")))

    server.always = answer
    async with source.open() as provider, asyncio.TaskGroup() as group:
        stalled = [group.create_task(first_batch(provider)) for _ in range(events.MAX_WAITING)]
        await waiting.wait()
        more = [group.create_task(first_batch(provider)) for _ in range(3)]
        async with source.open() as other:  # another storage of the same process
            more.append(group.create_task(first_batch(other)))
            await asyncio.sleep(0)
            assert len(asked) == events.MAX_WAITING
            stalled.pop().cancel()
            assert [batch.events for batch in await asyncio.gather(*more)] == [created(b"a")] * 4
        for task in stalled:
            task.cancel()
    assert asked == [20] * events.MAX_WAITING + [1, 1, 1, 20]


async def test_a_queue_that_never_ends_its_answer_holds_no_turn(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A trickle of bytes would pass every limit between two reads, and 32 such queues would silence all others.
    monkeypatch.setattr(events, "WAIT_SECONDS", 0)
    monkeypatch.setattr(events, "BRIEF_SECONDS", 0)
    monkeypatch.setattr(sqs, "ANSWER_SECONDS", 0.1)
    server.always = Stall()
    async with source.open() as provider:
        turns = events.turns_of(source.connector)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for _ in range(events.MAX_WAITING + 1):
                group.create_task(_times_out(provider))
        async with asyncio.timeout(1), turns.turn():
            pass


async def _times_out(provider: Provider) -> None:
    with pytest.raises(RetriableError) as caught:
        await first_batch(provider)
    assert caught.value.provider_code == "TIMEOUT"


async def test_a_low_ceiling_is_waited_for_outside_of_a_turn(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = events.Turns(1)
    monkeypatch.setattr("sluicegate.providers.s3.provider.turns_of", lambda _: turns)
    server.always = received(records(record("a")))
    waits = asyncio.Event()

    class Slow(Throttle):
        async def request(self) -> None:
            waits.set()
            await asyncio.Event().wait()

    async with source.open() as provider, source.open(throttle=Slow()) as slow:
        task = asyncio.create_task(first_batch(slow))
        await waits.wait()
        async with asyncio.timeout(5):
            assert (await first_batch(provider)).events == created(b"a")
        task.cancel()


def sqs_error(status: int, code: str, message: str = "") -> Reply:
    return Reply(status, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode())


Case = tuple[Fault, type[RunError], ErrorCode, str]
REFUSALS: list[Case] = [
    (sqs_error(400, "QueueDoesNotExist"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "QueueDoesNotExist"),
    (sqs_error(400, "InvalidAddress"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "InvalidAddress"),
    (Reply(404, b"<html>"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "404"),
    (sqs_error(403, "AccessDeniedException", SECRET), FatalError, ErrorCode.PROVIDER_AUTH, "AccessDeniedException"),
    (sqs_error(403, "InvalidClientTokenId"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidClientTokenId"),
    (sqs_error(400, "UnrecognizedClientException"), FatalError, ErrorCode.PROVIDER_AUTH, "UnrecognizedClientException"),
    (sqs_error(400, "InvalidSignatureException"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidSignatureException"),
    (sqs_error(400, "ExpiredTokenException"), FatalError, ErrorCode.PROVIDER_AUTH, "ExpiredTokenException"),
    (sqs_error(400, "KmsAccessDenied"), FatalError, ErrorCode.PROVIDER_AUTH, "KmsAccessDenied"),
    (sqs_error(400, "KmsThrottled"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "KmsThrottled"),
    (sqs_error(400, "RequestThrottled"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "RequestThrottled"),
    (sqs_error(400, "ThrottlingException"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "ThrottlingException"),
    (sqs_error(403, "OverLimit"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "OverLimit"),
    (Reply(503, b"", {"Retry-After": "3"}), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "503"),
    (sqs_error(500, "InternalFailure"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "InternalFailure"),
    (Drop(), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "CONNECTION_RESET"),
    (sqs_error(400, "InvalidAction"), FatalError, ErrorCode.PROVIDER_REFUSED, "InvalidAction"),
    (Reply(302, b"", {"Location": "http://169.254.169.254/"}), FatalError, ErrorCode.PROVIDER_REFUSED, "302"),
    (Reply(400, b'{"__type": 7}'), FatalError, ErrorCode.PROVIDER_REFUSED, "400"),
    (Reply(400, b"{"), FatalError, ErrorCode.PROVIDER_REFUSED, "400"),
    (Reply(200, b"<html>"), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
    (Reply(200, b"[]"), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
    (Reply(200, b'{"Messages": [7]}'), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
    (Reply(200, b'{"Messages": [{}]}'), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
    (received(*["{}"] * 11), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
    (Reply(200, b'{"Messages": 7}'), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_ANSWER"),
]


@pytest.mark.parametrize(("fault", "kind", "code", "provider_code"), REFUSALS)
async def test_each_refusal_of_a_queue_has_its_error(
    server: S3Responder, source: Bucket, fault: Fault, kind: type[RunError], code: ErrorCode, provider_code: str
) -> None:
    server.always = fault
    async with source.open() as provider:
        with pytest.raises(RunError) as caught:
            await first_batch(provider)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.provider_code) == (code, provider_code)
    shown = f"{caught.value!r} {caught.value.hint}"
    assert SECRET not in shown
    assert "169.254" not in shown
    if kind is FatalError:
        assert caught.value.hint
    if provider_code == "503":
        assert caught.value.retry_after == 3


async def test_a_refused_ack_raises(server: S3Responder, source: Bucket) -> None:
    server.faults.extend([received("{}"), sqs_error(403, "AccessDenied")])
    async with source.open() as provider:
        batch = await first_batch(provider)
        with pytest.raises(FatalError, match="may not use the event queue"):
            await batch.ack()


async def test_a_queue_that_is_gone(notifying: Notifying) -> None:
    await notifying.queue(notifying.url).call("DeleteQueue")
    async with notifying.open() as provider:
        with pytest.raises(FatalError) as caught:
            await first_batch(provider)
        checks = await checks_of(provider)
    assert (caught.value.code, caught.value.hint) == (ErrorCode.PROVIDER_NOT_FOUND, checks["events"].hint)
    assert checks["events"].status is CheckStatus.FAILED


async def test_validation_asks_the_queue_where_there_is_one(notifying: Notifying) -> None:
    async with notifying.open() as provider:
        assert (await checks_of(provider))["events"].status is CheckStatus.PASSED
    async with notifying.open(event_queue_url=None) as provider:
        assert (await checks_of(provider))["events"].status is CheckStatus.SKIPPED
        with pytest.raises(FatalError, match="no event queue"):
            provider.events()


async def test_a_queue_at_a_private_address_is_not_contacted(server: S3Responder, source: Bucket) -> None:
    source.values["s3_endpoint"] = "https://s3.us-east-1.amazonaws.com"
    url = server.endpoint.replace("http:", "https:").replace("127.0.0.1", "localhost") + NAME
    async with Connector() as connector, source.open(event_queue_url=url, connector=connector) as provider:
        with pytest.raises(FatalError) as caught:
            await first_batch(provider)
    assert caught.value.provider_code == "ENDPOINT_REFUSED"
    assert not server.requests


async def test_the_storage_s_role_reads_the_queue(server: S3Responder, source: Bucket) -> None:
    def answer(request: Request) -> Reply:
        if b"AssumeRole" not in request.body:
            return received("{}")
        made = {
            "AccessKeyId": "ASIAROLE",
            "SecretAccessKey": "x",
            "SessionToken": "t",
            "Expiration": "2999-01-01T00:00:00Z",
        }
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in made.items())
        text = f"<R><AssumeRoleResult><Credentials>{inner}</Credentials></AssumeRoleResult></R>"
        return Reply(200, text.encode())

    server.always = answer
    async with source.open(role_arn="arn:aws:iam::123456789012:role/reader") as provider:
        await first_batch(provider)
    assert "Credential=ASIAROLE/" in server.requests[-1].headers["authorization"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1"),
        ("https://sqs.eu-west-1.api.aws/1/q", "eu-west-1"),
        ("https://vpce-0a-1b.sqs.us-east-2.vpce.amazonaws.com/1/q", "us-east-2"),
        ("https://eu-west-2.queue.amazonaws.com/1/q", "eu-west-2"),
        ("https://queue.amazonaws.com/1/q", "ap-south-1"),
        ("https://mq.example.com/1/q", "ap-south-1"),
        ("https://sqs.evil.amazonaws.com.example.com/1/q", "ap-south-1"),
    ],
)
def test_the_region_is_that_of_the_queue(url: str, expected: str) -> None:
    assert queue_region(URL(url), Settings(bucket="bucket", region_name="ap-south-1")) == expected


@pytest.mark.parametrize("useful", [False, True])
async def test_a_queue_of_other_messages_alone_is_asked_with_pauses_as_long_as_it_took(
    monkeypatch: pytest.MonkeyPatch, useful: bool
) -> None:
    full = [
        sqs.Message(str(place), records(record("k")) if useful and not place else "{}")
        for place in range(sqs.MAX_MESSAGES)
    ]
    pauses: list[float] = []

    class Endless(Queue):
        def __init__(self) -> None:
            pass

        async def pace(self) -> None:
            pass

        async def receive(self, wait_seconds: int) -> list[sqs.Message]:
            return full

    class Clock:
        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)

    time = 0.0
    turns = events.Turns()
    monkeypatch.setattr(events, "asyncio", Clock())
    monkeypatch.setattr(events, "monotonic", lambda: time)
    async with aclosing(events.listen(Endless(), turns, "bucket", b"")) as batches:
        for spent in (0.0, 0.3, 60.0, 0.0):
            batch = await anext(batches)
            assert bool(batch.events) is useful
            time += spent
    assert pauses == ([] if useful else [0.0, 0.3, 1.0])
