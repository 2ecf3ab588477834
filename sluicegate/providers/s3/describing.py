"""What S3 tells of one object besides its bytes: HEAD and GetObjectTagging.

Formats: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html and API_GetObjectTagging.html there.
"""

from __future__ import annotations

from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime

import aiohttp

from sluicegate.core.clock import to_micros
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, SkippableError
from sluicegate.providers.base import Described, Entry
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.fetching import fetch_page
from sluicegate.providers.s3.xml import MalformedXmlError, namespace_of, parse_xml

META = "x-amz-meta-"
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchObject"})
_UNTAGGED = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})


async def describe(client: S3Client, key: bytes) -> Described | None:
    """The object's entry and metadata; None when it is gone. Raises RunError."""
    try:
        async with client.request("HEAD", key) as response:
            pass
    except RunError as error:
        if isinstance(error, RetriableError) or not (error.provider_code or "").isdigit():
            raise
        return await _explain(client, key, error)
    entry = _entry(key, response) or await _listed(client, key)
    return None if entry is None else Described(entry, _metadata(response))


async def tags_of(client: S3Client, key: bytes) -> dict[str, str]:
    """The object's tags. Raises RunError."""
    try:
        body = await client.fetch("GET", key, {"tagging": ""})
    except RunError as error:
        if error.provider_code in _UNTAGGED:
            return {}
        raise _tag_error(error) from None
    await client.throttle.transferred(len(body))
    try:
        root = parse_xml(body)
    except MalformedXmlError:
        root = None
    if root is None or not str(root.tag).endswith("Tagging"):
        raise SkippableError(
            "The object's tags cannot be read.", code=ErrorCode.PROVIDER_REFUSED, provider_code="MALFORMED_TAGS"
        )
    space = namespace_of(root)
    return {
        node.findtext(f"{space}Key") or "": node.findtext(f"{space}Value") or ""
        for node in root.iterfind(f"{space}TagSet/{space}Tag")
    }


async def _explain(client: S3Client, key: bytes, refusal: RunError) -> None:
    """Returns when the object itself is gone; raises the error else.

    An answer to HEAD has no body, so its status alone says not whether a key or the bucket is missing, or whether the
    object or every request is refused. The answer to a GET does.
    """
    try:
        async with client.request("GET", key, headers={"range": "bytes=0-0"}):
            pass
    except SkippableError as error:
        if error.provider_code in _GONE:
            return
        if error.code is ErrorCode.PROVIDER_NOT_FOUND:  # 404, but of whatever answers in the server's place
            raise RetriableError("The server does not say what is missing.", provider_code="404") from None
        if error.code is not ErrorCode.INVALID:  # an empty object has no first byte, but it is there
            raise
    if refusal.code is ErrorCode.PROVIDER_NOT_FOUND:
        raise RetriableError("The object came back while it was looked at.", provider_code="CHANGED")
    raise refusal


def _entry(key: bytes, response: aiohttp.ClientResponse) -> Entry | None:
    """The entry as a listing would give it; None when the headers do not suffice for its fingerprint."""
    headers = response.headers
    tag = headers.get("ETag", "").strip('"')
    size = headers.get("Content-Length", "")
    if not (tag and size.isascii() and size.isdigit()):
        return None
    try:
        modified = to_micros(parsedate_to_datetime(headers.get("Last-Modified", "")))
    except (ValueError, TypeError, OverflowError):
        modified = None
    return Entry(key, int(size), modified, f"{tag}-{size}")


async def _listed(client: S3Client, key: bytes) -> Entry | None:
    """The entry from a listing: of a server without ETags it has the exact time, which stands for them."""
    found = (await fetch_page(client, key, 1, {})).entries
    return found[0] if found and found[0].key == key else None


def _metadata(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers = response.headers
    found: dict[str, str] = {}
    if "Content-Type" in headers:
        found["content-type"] = _text(headers["Content-Type"])
    own = [name.lower() for name in headers if name.lower().startswith(META)]
    return found | {name.removeprefix(META): _text(",".join(headers.getall(name))) for name in own}


def _text(value: str) -> str:
    """A header's value: RFC 2047 decoded, which is how S3 sends what is not ASCII; raw bytes as UTF-8, else Latin-1."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        value = raw.decode("latin-1")
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value  # it only looks encoded


def _tag_error(error: RunError) -> RunError:
    code = error.provider_code
    if code in ("NotImplemented", "501"):
        return FatalError(
            "This server has no tags of objects.",
            code=ErrorCode.PROVIDER_REFUSED,
            provider_code=code,
            hint="Map from metadata, the path or a constant instead.",
        )
    if isinstance(error, SkippableError) and error.code is ErrorCode.PROVIDER_AUTH:
        return SkippableError(
            "These credentials may not read the object's tags.",
            code=error.code,
            provider_code=code,
            hint="They need s3:GetObjectTagging on it.",
        )
    return error
