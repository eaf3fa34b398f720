"""Where a request comes from, as far as limits are concerned. Addresses are kept in memory only, and never logged."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

from aiohttp import web

__all__ = ["TRUSTED_PROXIES", "client_address", "forwarded_address", "key_of_address", "networks"]

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks: TypeAlias = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

FORWARDED: Final = "X-Forwarded-For"
IPV6_PREFIX: Final = 64
"""What one customer has, as a rule (RFC 6177): limits count it as one address."""
_MAX_HOPS: Final = 16

TRUSTED_PROXIES: Final = web.AppKey("TRUSTED_PROXIES", tuple)
"""`networks` of the setting."""


def client_address(request: web.Request) -> str | None:
    """The address of whoever sent the request, for counting; None where the connection has none.

    What a proxy says of it counts where the proxy is one of the trusted ones (`VOICE_TRUSTED_PROXIES`).
    """
    if request.remote is None:
        return None
    forwarded = ",".join(request.headers.getall(FORWARDED, ()))
    return forwarded_address(request.remote, forwarded, request.app[TRUSTED_PROXIES])


def networks(entries: Sequence[str]) -> Networks:
    """The networks of a setting, read."""
    return tuple(ipaddress.ip_network(entry) for entry in entries)


def forwarded_address(remote: str, forwarded: str, trusted: Networks) -> str:
    """The last address on the way here that is not a trusted proxy's: everybody may write what stands before it.

    `forwarded` is the value of `X-Forwarded-For`, to which each proxy adds whom it heard.
    """
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()][-_MAX_HOPS:]
    address = remote
    while hops and _is_trusted(address, trusted):
        heard = hops.pop()
        if _parse(heard) is None:
            break
        address = heard
    return key_of_address(address)


def key_of_address(address: str) -> str:
    """An address as it is counted: one of IPv4 as it is, one of IPv6 with its whole network."""
    parsed = _parse(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _is_trusted(address: str, networks: Networks) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse(address: str) -> IPAddress | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else parsed
