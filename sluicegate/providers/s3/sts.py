"""STS AssumeRole: one signed POST through the guarded connector.

Format: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. Not aiobotocore's client: that one reads the
environment (proxies, endpoints, profiles) and follows redirects, and a tenant's role must depend on neither.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import aiohttp
from lxml import etree
from yarl import URL

from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, FatalError, RunError
from sluicegate.core.net import Connector, read_bounded, transport_error
from sluicegate.providers.s3.errors import Answer, read_answer, run_error
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.s3.signing import Credentials, Scope, encode_query, sign_headers
from sluicegate.providers.s3.target import DEFAULT_REGION
from sluicegate.providers.s3.xml import namespace_of, parse_xml

MAX_ANSWER = 256 * 1024
SESSION_SECONDS = 3600


def sts_endpoint(settings: Settings) -> tuple[URL, str]:
    """STS's address and region: AWS's own for AWS; else the storage's endpoint, where MinIO, Ceph and SeaweedFS have it."""
    region = settings.region_name or DEFAULT_REGION
    if settings.s3_endpoint:
        url = URL(settings.s3_endpoint)
        if not (url.host or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
            return url.with_path("/"), region
    return URL(f"https://sts.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"), region


async def assume_role(
    connector: Connector, settings: Settings, base: Credentials, role: str, external_id: str | None, session: str
) -> Credentials:
    """Temporary credentials of a role, for an hour. Raises RunError."""
    url, region = sts_endpoint(settings)
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": session,
        "DurationSeconds": str(SESSION_SECONDS),
    }
    if external_id:
        form["ExternalId"] = external_id
    body = encode_query(form).encode()
    host = url.authority if not url.is_default_port() else url.host_subcomponent or ""
    headers = sign_headers(
        "POST",
        host,
        "/",
        "",
        base,
        Scope(region, "sts"),
        now(),
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=body,
    )
    try:
        async with connector.request("POST", url, headers=headers, data=body) as response:
            text = await read_bounded(response, MAX_ANSWER)
            status, answered = response.status, response.headers
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        raise transport_error(error, host) from None
    if status != 200:
        raise _refused(read_answer(status, answered, _inner(text)))
    return _credentials(text)


def _credentials(text: bytes) -> Credentials:
    try:
        root = parse_xml(text)
        space = namespace_of(root)
        node = root.find(f"{space}AssumeRoleResult/{space}Credentials")
        if node is None:
            raise ValueError("no credentials")
        key, secret, token, expires = (
            node.findtext(space + name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        )
        if not (key and secret and token and expires):
            raise ValueError("incomplete credentials")
        return Credentials(key, secret, token, datetime.fromisoformat(expires))
    except (etree.XMLSyntaxError, ValueError):
        raise FatalError(
            "The answer to AssumeRole could not be read.",
            code=ErrorCode.PROVIDER_REFUSED,
            provider_code="MALFORMED_ANSWER",
            hint="Does this endpoint have STS? Without it leave roleArn out.",
        ) from None


def _inner(text: bytes) -> bytes:
    """STS wraps `Error` in `ErrorResponse`."""
    try:
        root = parse_xml(text)
    except (etree.XMLSyntaxError, ValueError):
        return text
    inner = root.find(namespace_of(root) + "Error")
    return text if inner is None else etree.tostring(inner)


def _refused(answer: Answer) -> RunError:
    error = run_error(answer, bucket="")
    if isinstance(error, FatalError) and error.provider_code in ("AccessDenied", "403"):
        return FatalError(
            "The role may not be assumed.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=error.provider_code,
            hint="The role's trust policy must name the keys' account or user, and this externalId; the keys need sts:AssumeRole.",
        )
    return error
