"""Where a webhook may point, checked when it is saved. What counts is checked again at each connection."""

from __future__ import annotations

from collections.abc import Sequence

from yarl import URL

from sluicegate.core.errors import FatalError, InvalidError
from sluicegate.core.net import Connector

MAX_URL_LENGTH = 2_048


async def check_url(url: str, connector: Connector, *, path: Sequence[str] = ("webhook", "url")) -> str:
    """The URL as it is kept. Raises InvalidError, which does not repeat it: a URL may hold a token of its receiver.

    Plain http only to hosts that the operator named, so that nothing crosses the internet readable. A name that leads
    to an address that may not be reached is refused; one that cannot be resolved now is not: its server may come later.
    """
    text = url.strip()
    try:
        parsed = URL(text)
        host, port = parsed.raw_host, parsed.port
    except (ValueError, TypeError):
        raise _invalid("The webhook's URL is not an address.", path) from None
    if len(text) > MAX_URL_LENGTH or not text.isprintable() or " " in text:
        raise _invalid(f"The webhook's URL is longer than {MAX_URL_LENGTH:,} characters, or has spaces.", path)
    if parsed.scheme not in ("http", "https") or not host or port is None:
        raise _invalid("The webhook's URL is not an https:// address.", path)
    if parsed.user is not None or parsed.password is not None or parsed.raw_fragment:
        raise _invalid("The webhook's URL has a user, a password or a fragment, which are not sent.", path)
    if parsed.scheme == "http" and not connector.policy.names(host, port):
        raise InvalidError(
            "The webhook's URL is not https://: what it is sent could be read on the way.",
            path=path,
            hint=f"Use https://, or let the gateway's operator add {host}:{port} to SLUICEGATE_ALLOWED_ENDPOINTS.",
        )
    await _check_reachable(connector, parsed, path)
    return text


async def _check_reachable(connector: Connector, url: URL, path: Sequence[str]) -> None:
    assert url.raw_host is not None
    assert url.port is not None
    try:
        connector.check_url(url)
        await connector.resolver.resolve(url.raw_host, url.port)
    except FatalError as error:
        raise InvalidError(error.message, path=path, hint=error.hint) from None
    except OSError:
        return


def _invalid(message: str, path: Sequence[str]) -> InvalidError:
    return InvalidError(message, path=path, hint="Example: https://example.com/hooks/sluicegate")
