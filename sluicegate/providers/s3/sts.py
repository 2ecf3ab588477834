"""STS AssumeRole: one signed POST through the guarded connector.

Format: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. Not aiobotocore's client: that one
reads the environment (proxies, endpoints, profiles), and a tenant's role must not depend on it.
"""

from __future__ import annotations

from datetime import datetime

import aiohttp
from yarl import URL

from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, FatalError, RunError
from sluicegate.core.net import Connector, read_bounded, transport_error
from sluicegate.providers.s3.errors import Answer, read_answer, run_error
from sluicegate.providers.s3.settings import Settings, is_aws
from sluicegate.providers.s3.signing import Credentials, Scope, encode_query, sign_headers
from sluicegate.providers.s3.target import DEFAULT_REGION
from sluicegate.providers.s3.xml import namespace_of, parse_xml

MAX_ANSWER = 256 * 1024
SESSION_SECONDS = 3600


def sts_endpoint(settings: Settings) -> tuple[URL, str]:
    """STS's address and region: AWS's own for AWS; else the storage's endpoint, where MinIO and Ceph have it."""
    region = settings.region_name or DEFAULT_REGION
    if settings.s3_endpoint:
        url = URL(settings.s3_endpoint)
        if not is_aws(url.host or ""):
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
    host = url.host_port_subcomponent or ""
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
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise transport_error(error, host) from None
    if status != 200:
        raise _refused(read_answer(status, answered, text))
    return _credentials(text)


def _credentials(text: bytes) -> Credentials:
    try:
        root = parse_xml(text)
        place = "{0}AssumeRoleResult/{0}Credentials/{0}".format(namespace_of(root))
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        key, secret, token, expires = (root.findtext(place + name) or "" for name in names)
        until = datetime.fromisoformat(expires)
    except ValueError:
        key = secret = token = ""
        until = now()
    if not (key and secret and token):
        raise FatalError(
            "The answer to AssumeRole could not be read.",
            code=ErrorCode.PROVIDER_REFUSED,
            provider_code="MALFORMED_ANSWER",
            hint="Does this endpoint have STS? Without it leave roleArn out.",
        )
    return Credentials(key, secret, token, until)


def _refused(answer: Answer) -> RunError:
    error = run_error(answer, bucket="")
    if isinstance(error, FatalError) and error.provider_code in ("AccessDenied", "403"):
        return FatalError(
            "The role may not be assumed.",
            code=ErrorCode.PROVIDER_AUTH,
            provider_code=error.provider_code,
            hint="The role's trust policy must name the keys' user and this externalId; the keys need sts:AssumeRole.",
        )
    return error
