"""Which addresses go into an answer's candidates."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import ifaddr

__all__ = ["announced_addresses", "parse_address"]


def parse_address(text: str) -> tuple[str, int | None]:
    """`192.0.2.1`, `192.0.2.1:50000`, `2001:db8::1` or `[2001:db8::1]:50000` as host and port (None: the media port's).

    Raises ValueError with the reason.
    """
    host, port = text.strip(), None
    if host.startswith("["):
        host, closed, rest = host[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address: write IPv6 with a port as [2001:db8::1]:50000")
        port_text = rest[1:]
    elif host.count(":") == 1:
        host, _, port_text = host.partition(":")
    else:
        port_text = ""
    if port_text:
        if not port_text.isdecimal() or not 0 < int(port_text) < 65536:
            raise ValueError(f"{text!r} has a port that is not between 1 and 65535")
        port = int(port_text)
    return str(ipaddress.ip_address(host)), port


def announced_addresses(media_host: str, port: int, public: Iterable[str]) -> list[tuple[str, int]]:
    """Host and port of every candidate, best first: what the operator announces, else the bound address, else all of this
    machine's.

    Link-local addresses are left out: they mean nothing without an interface. Loopback comes last: only a browser on this machine
    can use it.
    """
    chosen = [parse_address(text) for text in public]
    if chosen:
        return [(host, own_port or port) for host, own_port in chosen]
    if media_host not in ("", "::", "0.0.0.0"):  # noqa: S104 - compared, not bound
        return [(media_host, port)]
    hosts = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text.partition("%")[0])
            if address.is_link_local or (address.version == 6 and media_host == "0.0.0.0"):  # noqa: S104 - compared, not bound
                continue
            hosts.append(address)
    ordered = sorted(set(hosts), key=lambda address: (address.is_loopback, address.version, int(address)))
    return [(str(address), port) for address in ordered]
