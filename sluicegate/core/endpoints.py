"""Which addresses the gateway may connect to: every public one, and what SLUICEGATE_ALLOWED_ENDPOINTS names.

Storages and webhooks are given by tenants, so an address that only the gateway can reach (its own host, the private
network, the cloud's metadata service) is refused unless the operator allowed it: server-side request forgery.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sluicegate.core.errors import ConfigurationError, ErrorCode, FatalError

SETTING = "SLUICEGATE_ALLOWED_ENDPOINTS"
REFUSED = "ENDPOINT_REFUSED"

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 and the IANA registry: all else is local, reserved or embeds IPv4
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637, newer than the table of Python 3.11
_NOT_PUBLIC = (  # global by the registry, but never the internet
    IPv4Network("168.63.129.16/32"),  # Azure's agent server, in every machine there: the machine's own secrets
    IPv4Network("192.0.0.0/24"),  # RFC 6890, protocol assignments; .192 is the metadata service of a cloud
    IPv4Network("192.88.99.0/24"),  # RFC 7526, relays of 6to4, withdrawn
)
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated, still routed by some stacks


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry of the setting: a host name or a network, on one port or on all."""

    host: str | None
    network: IPv4Network | IPv6Network | None
    port: int | None


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host means without a look-up, in every spelling that a resolver takes; None for a name.

    Besides the usual forms: 2130706433, 0x7f000001, 0177.0.0.1, 127.1, [::1], a trailing dot, a zone (fe80::1%eth0).
    """
    bare = host.strip().rstrip(".")
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    try:
        return ip_address(bare)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, UnicodeEncodeError, ValueError):
        return None


def embedded_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that packets to an IPv6 address would reach in the end (mapped, NAT64, 6to4), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@lru_cache(maxsize=1024)
def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is a unicast one of the public internet."""
    reached = embedded_address(address)
    if isinstance(reached, IPv6Address) and (reached not in _GLOBAL_UNICAST or reached in _DOCUMENTATION):
        return False
    if isinstance(reached, IPv4Address) and any(reached in network for network in _NOT_PUBLIC):
        return False
    return reached.is_global and not reached.is_multicast and not reached.is_reserved


class EndpointPolicy:
    """The parsed setting: hosts, host:port, addresses, address:port and CIDRs, comma separated.

    Raises ConfigurationError for an entry that is none of these.
    """

    def __init__(self, allowed: str = "") -> None:
        self._rules = [_parse_rule(part.strip()) for part in allowed.split(",") if part.strip()]
        # Asked for every request, of few endpoints; the answer for a literal never changes.
        self._literal_allowed = lru_cache(maxsize=1024)(self._allows_literal)

    def allows_name(self, host: str, port: int) -> bool:
        """Whether the operator named this host, whatever it resolves to."""
        name = _normal(host)
        return any(rule.host == name and rule.port in (None, port) for rule in self._rules)

    def names(self, host: str, port: int) -> bool:
        """Whether the operator named this host or its literal address, so that it is one that the operator trusts."""
        address = parse_address(host)
        return self.allows_name(host, port) or (address is not None and self._in_networks(address, port))

    def allows_address(self, address: IPv4Address | IPv6Address, port: int) -> bool:
        """Whether a connection to this address may be made."""
        return is_public(address) or self._in_networks(address, port)

    def _in_networks(self, address: IPv4Address | IPv6Address, port: int) -> bool:
        forms = {address, embedded_address(address)}
        return any(
            rule.network is not None and rule.port in (None, port) and any(form in rule.network for form in forms)
            for rule in self._rules
        )

    def check_literal(self, host: str, port: int) -> None:
        """Raises FatalError when `host` is an address, in whatever spelling, that may not be reached."""
        if not self._literal_allowed(host, port):
            raise refusal(host, port)

    def _allows_literal(self, host: str, port: int) -> bool:
        address = parse_address(host)
        return address is None or self.allows_address(address, port)

    def check_resolved(self, host: str, port: int, address: str) -> None:
        """Raises FatalError when the name led to an address that may not be reached."""
        parsed = parse_address(address)
        if parsed is None or not (self.allows_address(parsed, port) or self.allows_name(host, port)):
            raise refusal(host, port)


def refusal(host: str, port: int) -> FatalError:
    """The error for an endpoint that is not public. It does not say what a name resolves to."""
    return FatalError(
        f"The endpoint {host[:255]} is not a public address, so it was not contacted.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code=REFUSED,
        hint=f"If the gateway should reach it, its operator adds {host[:255]}:{port} to {SETTING}.",
    )


def _normal(host: str) -> str:
    return host.strip().rstrip(".").lower()


def _parse_rule(entry: str) -> _Rule:
    try:
        return _Rule(None, ip_network(entry.strip("[]"), strict=True), None)
    except ValueError:
        pass
    if "/" in entry or "*" in entry or "@" in entry:
        raise _bad(entry)
    host, port = _split_port(entry)
    address = parse_address(host)
    if address is not None:
        return _Rule(None, ip_network(address), port)
    if not host or any(char.isspace() or char in ":[]" for char in host):
        raise _bad(entry)
    return _Rule(_normal(host), None, port)


def _split_port(entry: str) -> tuple[str, int | None]:
    host, separator, digits = entry.rpartition(":")
    if not separator:
        return entry, None
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536):
        raise _bad(entry)
    return host, int(digits)


def _bad(entry: str) -> ConfigurationError:
    return ConfigurationError(
        f"{SETTING} has an entry that is not a host, host:port, address or CIDR: {entry!r}.",
        hint="Example: minio.internal:9000, 10.20.0.0/16, [fd00::1]:9000",
    )
