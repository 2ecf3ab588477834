"""One SQS queue over the guarded connector: signed JSON requests, with errors as run errors.

Format: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/, AWS JSON protocol 1.0. Not aiobotocore's
client, for the reasons of `sts`: it reads the environment, and its connections would not be ours.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import aiohttp
from yarl import URL

from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError
from sluicegate.core.net import Connector, read_bounded, transport_error
from sluicegate.providers.s3.credentials import CredentialSource
from sluicegate.providers.s3.errors import AUTH_CODES, Answer, read_answer, run_error
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.s3.signing import Scope, sign_headers
from sluicegate.providers.s3.target import DEFAULT_REGION
from sluicegate.providers.throttle import Throttle

MAX_MESSAGES = 10
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer: ten messages of 256 KiB, the most that any sender of S3's events writes, and their escapes."""
ANSWER_SECONDS = 15.0
"""For an answer to come as a whole, besides the wait for messages: a server that trickles would never end."""
_REGION = re.compile(
    r"(?:^|\.)sqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
    r"|^([a-z0-9-]+)\.queue\.amazonaws\.com$"
)
_NO_QUEUE = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "InvalidAddress"})
_OK = 200


class Message(NamedTuple):
    """One message. `receipt`: what deletes it."""

    receipt: str
    body: str


def queue_region(url: URL, settings: Settings) -> str:
    """The region that requests to a queue are signed for: that in its host name, else the storage's."""
    found = _REGION.search(url.host or "")
    return (found[1] or found[2]) if found else settings.region_name or DEFAULT_REGION


class Queue:
    """The queue of `url`, asked with the storage's own credentials."""

    def __init__(
        self, connector: Connector, settings: Settings, url: str, credentials: CredentialSource, throttle: Throttle
    ) -> None:
        self._connector = connector
        self._credentials = credentials
        self._throttle = throttle
        self._url = url
        self._endpoint = URL(url).origin().with_path("/")
        self._region = queue_region(self._endpoint, settings)
        self._role = settings.role_arn is not None

    async def receive(self, wait_seconds: int) -> list[Message]:
        """Up to 10 messages, as soon as there is one and at most after the wait (≤ 20 s). Raises RunError.

        Each stays in the queue, invisible for as long as the queue is set to, until it is deleted. Callers wait for
        `pace` first.
        """
        wanted = {"MaxNumberOfMessages": MAX_MESSAGES, "WaitTimeSeconds": wait_seconds}
        found = await self._ask("ReceiveMessage", wanted, wait_seconds + ANSWER_SECONDS)
        try:
            messages = [Message(str(each["ReceiptHandle"]), str(each["Body"])) for each in found.get("Messages") or ()]
        except (TypeError, KeyError):
            messages = None
        if messages is None or len(messages) > MAX_MESSAGES:
            raise _unreadable("ReceiveMessage")
        return messages

    async def pace(self) -> None:
        """Waits for as long as the storage's ceiling of requests asks for."""
        await self._throttle.request()

    async def delete(self, receipts: Sequence[str]) -> int:
        """Deletes up to 10 messages; how many stayed, which then come again. Raises RunError."""
        entries = [{"Id": str(place), "ReceiptHandle": receipt} for place, receipt in enumerate(receipts)]
        return len((await self.call("DeleteMessageBatch", Entries=entries)).get("Failed") or [])

    async def check(self) -> None:
        """Raises RunError when the queue cannot be asked."""
        await self.call("GetQueueAttributes", AttributeNames=["QueueArn"])

    async def call(self, action: str, **values: Any) -> dict[str, Any]:
        """One request and its answer. Raises RunError."""
        await self.pace()
        return await self._ask(action, values, ANSWER_SECONDS)

    async def _ask(self, action: str, values: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        body = json.dumps({"QueueUrl": self._url, **values}).encode()
        host = self._endpoint.host_port_subcomponent or ""
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
        scope = Scope(self._region, "sqs")
        try:
            async with asyncio.timeout(seconds):
                credentials = await self._credentials.get()
                signed = sign_headers("POST", host, "/", "", credentials, scope, now(), headers=headers, body=body)
                async with self._connector.request("POST", self._endpoint, headers=signed, data=body) as response:
                    text = await read_bounded(response, MAX_ANSWER)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise transport_error(error, host) from None
        if response.status != _OK:
            raise queue_error(read_answer(response.status, response.headers, text), role=self._role)
        return _read(text, action)


def queue_error(answer: Answer, *, role: bool = False) -> RunError:
    """The error to raise for a refusal of SQS."""
    code = answer.code or str(answer.status)
    if code in _NO_QUEUE or answer.status == 404:
        return FatalError(
            "There is no such event queue.",
            code=ErrorCode.PROVIDER_NOT_FOUND,
            provider_code=code,
            hint="Check eventQueueUrl: its region, account and name.",
        )
    if code.startswith(("Kms", "KMS.")) and code != "KmsThrottled":
        return FatalError(
            "The key that the event queue is encrypted with cannot be used.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=code,
            hint="The credentials need kms:Decrypt on the key, and the key must be enabled.",
        )
    known = run_error(answer, bucket="", role=role)
    if isinstance(known, RetriableError) or code in AUTH_CODES:
        return known
    if answer.status in (401, 403) or code.startswith("AccessDenied"):
        return FatalError(
            "These credentials may not use the event queue.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=code,
            hint="They need sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes on it.",
        )
    return FatalError(
        f"The event queue refused the request with status {answer.status}.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code=code,
        hint="Check that eventQueueUrl is the address of an SQS queue, in its own region.",
    )


def _read(text: bytes, action: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return cast("dict[str, Any]", found)
    raise _unreadable(action)


def _unreadable(action: str) -> FatalError:
    return FatalError(
        f"The answer to {action} could not be read.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="MALFORMED_ANSWER",
        hint="Check that eventQueueUrl is the address of an SQS queue.",
    )
