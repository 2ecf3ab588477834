"""S3's answers → run errors: what a run does next, in words that say how to mend it.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. The server's own message is never passed on:
it can repeat signed headers and query strings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, SkippableError, ThrottledError
from sluicegate.providers.s3.xml import MalformedXmlError, namespace_of, parse_xml, text_of

MAX_RETRY_AFTER = 300.0
NOT_IMPLEMENTED = 501

_AUTH = {
    "InvalidAccessKeyId": (
        "The access key id is not known to the server.",
        "Check awsAccessKeyId, and that the key was not deleted.",
    ),
    "SignatureDoesNotMatch": (
        "The server refused the signature.",
        "Check awsSecretAccessKey: copy it again, without spaces.",
    ),
    "ExpiredToken": (
        "The session token has expired.",
        "Give new temporary credentials, or use roleArn: it is renewed by itself.",
    ),
    "InvalidToken": (
        "The session token is not valid.",
        "awsSessionToken must come from the same call as the two keys.",
    ),
    "TokenRefreshRequired": ("The session token must be renewed.", "Give new temporary credentials."),
    "InvalidSecurity": ("The credentials are not valid.", "Check the keys."),
    "NotSignedUp": ("The account of these credentials is not signed up for S3.", "Check the AWS account."),
    "AccountProblem": ("There is a problem with the account of these credentials.", "Check the AWS account."),
    "InvalidClientTokenId": ("The access key id is not known to the server.", "Check awsAccessKeyId."),
    "RequestTimeTooSkewed": (
        "The gateway's clock and the server's differ by more than 15 minutes.",
        "Set the clock of the gateway's machine (NTP).",
    ),
    "RequestExpired": ("The request was too old when it arrived.", "Set the clock of the gateway's machine (NTP)."),
}
_AUTH.update(  # what SQS calls the same
    UnrecognizedClientException=_AUTH["InvalidClientTokenId"],
    InvalidSignatureException=_AUTH["SignatureDoesNotMatch"],
    ExpiredTokenException=_AUTH["ExpiredToken"],
)
AUTH_CODES = frozenset(_AUTH)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_KMS = ("KMS.", "Kms")
_THROTTLED = frozenset(
    {
        "SlowDown",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "RequestThrottled",
        "OverLimit",
        "KmsThrottled",
        "ServiceUnavailable",
        "Busy",
    }
)
_RETRIABLE = frozenset({"InternalError", "RequestTimeout", "OperationAborted", "IncompleteBody", "ServerBusy"})


@dataclass(frozen=True, slots=True)
class Answer:
    """The part of an error answer that is looked at."""

    status: int
    code: str | None
    region: str | None
    retry_after: float | None


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What an error answer says; `body` may be anything."""
    code = region = None
    if b"<" in body[:16]:
        try:
            root = parse_xml(body)
        except MalformedXmlError:
            root = None
        if root is not None:
            inner = root.find(namespace_of(root) + "Error")  # STS wraps it, S3 does not
            place = root if inner is None else inner
            code, region = text_of(place, "Code"), text_of(place, "Region")
    elif body.startswith(b"{"):
        code = _json_code(body)
    region = headers.get("x-amz-bucket-region") or region
    return Answer(status, _plain(code), _plain(region), _seconds(headers.get("Retry-After")))


def run_error(answer: Answer, *, bucket: str, role: bool = False, in_object: bool = False) -> RunError:
    """The error to raise. `in_object`: the request was for one object, and most refusals concern that one alone."""
    status, code = answer.status, answer.code
    if status == 429 or code in _THROTTLED or status == 503:
        return ThrottledError(
            "The server asks to slow down.", provider_code=code or str(status), retry_after=answer.retry_after
        )
    if code in _RETRIABLE or (status >= 500 and status != NOT_IMPLEMENTED) or status == 408:
        return RetriableError(
            f"The server failed with status {status}.",
            provider_code=code or str(status),
            retry_after=answer.retry_after,
        )
    if 300 <= status < 400 or code in (
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    ):
        return _moved(answer, bucket)
    if code in _AUTH:
        message, hint = _AUTH[code]
        if code in _EXPIRED and role:
            return RetriableError(message, code=ErrorCode.PROVIDER_AUTH, provider_code=code)
        return FatalError(message, code=ErrorCode.PROVIDER_AUTH, provider_code=code, hint=hint)
    return _object_error(answer) if in_object else _bucket_error(answer, bucket)


def _moved(answer: Answer, bucket: str) -> FatalError:
    region = f" It is in {answer.region}." if answer.region else ""
    hint = (
        f"Set regionName to {answer.region}."
        if answer.region
        else "Set regionName and s3Endpoint to the bucket's region."
    )
    return FatalError(
        f"The bucket {bucket} is not served here.{region} Redirects are not followed.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code=answer.code or str(answer.status),
        hint=hint,
    )


def _bucket_error(answer: Answer, bucket: str) -> FatalError:
    code = answer.code or str(answer.status)
    if code == "NoSuchBucket" or answer.status == 404:
        return FatalError(
            f"There is no bucket {bucket}.",
            code=ErrorCode.PROVIDER_NOT_FOUND,
            provider_code=code,
            hint="Check the bucket's name, and the endpoint.",
        )
    if answer.status in (401, 403):
        return FatalError(
            f"These credentials may not do this in the bucket {bucket}.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=code,
            hint="They need s3:ListBucket on the bucket and s3:GetObject on its objects.",
        )
    return FatalError(
        f"The server refused the request with status {answer.status}.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code=code,
        hint="Check that the endpoint speaks S3.",
    )


def _object_error(answer: Answer) -> RunError:
    code = answer.code or str(answer.status)
    if code == "NoSuchBucket":
        return _bucket_error(answer, "of this storage")
    if answer.status == 412:
        return SkippableError("The object changed since it was listed.", code=ErrorCode.CONFLICT, provider_code=code)
    if answer.status == 404:
        return SkippableError("The object is gone.", code=ErrorCode.PROVIDER_NOT_FOUND, provider_code=code)
    if code == "InvalidObjectState":
        return SkippableError(
            "The object is archived.",
            code=ErrorCode.PROVIDER_REFUSED,
            provider_code=code,
            hint="Restore it from Glacier first, or leave its folder out.",
        )
    if answer.status == 416:
        return SkippableError("The object is shorter than the range.", code=ErrorCode.INVALID, provider_code=code)
    if code.startswith(_KMS) or "kms" in code.lower():
        return SkippableError(
            "The key that the object is encrypted with cannot be used.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=code,
            hint="The credentials need kms:Decrypt on the key, and the key must be enabled.",
        )
    if answer.status in (401, 403):
        return SkippableError(
            "These credentials may not read the object.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=code,
            hint="They need s3:GetObject on it (and kms:Decrypt where it is encrypted with a KMS key).",
        )
    return SkippableError(
        f"The server refused the object with status {answer.status}.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code=code,
    )


def _json_code(body: bytes) -> str | None:
    """The code in an answer of SQS: `com.amazonaws.sqs#QueueDoesNotExist`."""
    try:
        code = json.loads(body)["__type"]
    except (ValueError, KeyError, RecursionError):
        return None
    return code.rpartition("#")[2] if isinstance(code, str) else None


def _plain(value: str | None) -> str | None:
    """A code or region as we pass it on: short and of a plain alphabet, whatever the server sent."""
    if value is None:
        return None
    kept = "".join(char for char in value[:80] if char.isascii() and (char.isalnum() or char in ".-_"))
    return kept or None


def _seconds(value: str | None) -> float | None:
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None
