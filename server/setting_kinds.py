"""Kinds of setting values: what each is called, what it takes, and how its text is read.

Reading raises `BadValue`, whose text is the middle of a sentence and never holds the value: it might be a secret.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from server.limit_rules import OFF, parse_rules

__all__ = [
    "API_TOKENS",
    "FILE",
    "FOLDER",
    "HOST",
    "ICE_SERVERS",
    "IP_ADDRESSES",
    "IP_ADDRESS_OR_ANY",
    "JWT_SECRET",
    "NETWORKS",
    "ORIGINS",
    "PORT",
    "RATE_LIMITS",
    "SWITCH",
    "WORLDS",
    "BadValue",
    "Kind",
    "choice",
    "number",
    "whole_number",
]

MIN_API_TOKEN_CHARS: Final = 20
MIN_JWT_SECRET_BYTES: Final = 32
"""HS256 wants a key at least as long as its hash (RFC 7518, section 3.2)."""


class BadValue(ValueError):
    """What is wrong with a value, as in "is not a number"."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `parse` gets text without blanks around it and raises `BadValue`; `takes` goes after "it takes".

    The empty text reaches `parse` only where it `may_be_empty`.
    """

    name: str
    takes: str
    parse: Callable[[str], Any]
    may_be_empty: bool = False


def whole_number(lowest: int, highest: int) -> Kind:
    """Whole numbers between two bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise BadValue("is not a whole number")
        value = int(text)
        if not lowest <= value <= highest:
            raise BadValue("is out of range")
        return value

    return Kind("whole number", f"a whole number from {lowest} to {highest}", parse)


def number(lowest: float, highest: float) -> Kind:
    """Numbers between two bounds, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise BadValue("is not a number") from None
        if not math.isfinite(value) or not lowest <= value <= highest:
            raise BadValue("is out of range")
        return value

    return Kind("number", f"a number from {lowest:g} to {highest:g}", parse)


def choice(*choices: str) -> Kind:
    """One of a few words, small or capital."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise BadValue("is not one of the choices")
        return text.lower()

    return Kind("choice", "one of " + ", ".join(choices), parse)


def _items(name: str, takes: str, parse_item: Callable[[str], str], *, may_be_empty: bool = False) -> Kind:
    """Lists with commas between the entries, without doubles."""

    def parse(text: str) -> tuple[str, ...]:
        if not text:
            return ()
        items = [item.strip() for item in text.split(",")]
        if not all(items):
            raise BadValue("has an empty entry")
        values = tuple(parse_item(item) for item in items)
        if len(set(values)) != len(values):
            raise BadValue("has an entry twice")
        return values

    return Kind(name, takes, parse, may_be_empty)


def _switch(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise BadValue("is neither true nor false")
    return words[text.lower()]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise BadValue("is not an IP address") from None


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text) and not re.fullmatch(r"[0-9.]+", text):
        return text
    try:
        return _address(text)
    except BadValue:
        raise BadValue("is not a host name or an IP address") from None


def _path(text: str) -> Path:
    if "\0" in text:
        raise BadValue("is not a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise BadValue("begins with the home of somebody who is not known here") from None


def _world(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", text):
        raise BadValue("has an entry that is not the name of a world")
    return text


def _origin(text: str) -> str:
    if text == "*":
        return text
    bad = BadValue("has an entry that is not an origin")
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        raise bad from None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if parts.scheme not in {"http", "https"} or not parts.hostname or text.lower() != origin:
        raise bad
    return origin


def _api_token(text: str) -> str:
    if len(text) < MIN_API_TOKEN_CHARS:
        raise BadValue("has an entry that is too short")
    if not re.fullmatch(r"[!-~]+", text):
        raise BadValue("has an entry with a character that an HTTP header cannot carry")
    return text


def _jwt_secret(text: str) -> str:
    if text and len(text.encode()) < MIN_JWT_SECRET_BYTES:
        raise BadValue("is too short")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise BadValue("has an entry that is neither an IP address nor a network") from None


def _rate_limits(text: str) -> str:
    try:
        rules = parse_rules(text)
    except ValueError as problem:
        raise BadValue(str(problem)) from None
    return ",".join(f"{name}={rule.times}/{rule.seconds}s" for name, rule in rules.items()) or OFF


def _ice_servers(text: str) -> tuple[dict[str, Any], ...]:
    try:
        servers = json.loads(text or "[]")
    except (ValueError, RecursionError):
        raise BadValue("is not JSON") from None
    if not isinstance(servers, list):
        raise BadValue("is not a JSON list")
    for server in servers:
        _check_ice_server(server)
    return tuple(servers)


def _check_ice_server(server: object) -> None:
    """One entry as a browser takes it (`RTCIceServer`): `urls` is an address or a list of them (RFC 7064, RFC 7065)."""
    if not isinstance(server, dict):
        raise BadValue("has an entry that is not an object")
    urls = [server["urls"]] if isinstance(server.get("urls"), str) else server.get("urls")
    if not isinstance(urls, list) or not urls:
        raise BadValue("has an entry without urls")
    if not all(isinstance(url, str) and re.match(r"(stun|stuns|turn|turns):[^/]", url) for url in urls):
        raise BadValue("has a url that is not a STUN or TURN address")
    if not all(isinstance(server.get(key, ""), str) for key in ("username", "credential")):
        raise BadValue("has a username or credential that is not text")


PORT: Final = whole_number(0, 65535)
SWITCH: Final = Kind("switch", "true or false", _switch)
HOST: Final = Kind("host", "a host name or an IP address", _host)
IP_ADDRESS_OR_ANY: Final = Kind("IP address", "an IP address", lambda text: _address(text) if text else "", may_be_empty=True)
IP_ADDRESSES: Final = _items("IP addresses", "IP addresses with commas between", _address, may_be_empty=True)
NETWORKS: Final = _items(
    "networks", "IP addresses and networks such as 10.0.0.0/8 with commas between", _network, may_be_empty=True
)
FOLDER: Final = Kind("folder", "the path of a folder", _path)
FILE: Final = Kind("file", "the path of a file", _path)
WORLDS: Final = _items("names", "names of small letters, digits, - and _ with commas between", _world)
ORIGINS: Final = _items("origins", "* or origins such as https://voice.example with commas between", _origin)
RATE_LIMITS: Final = Kind("rules", "off, or rules such as join=30/60s with commas between", _rate_limits)
ICE_SERVERS: Final = Kind(
    "JSON", "a JSON list of objects with urls and, for TURN, username and credential", _ice_servers, may_be_empty=True
)
API_TOKENS: Final = _items(
    "secrets", f"secrets of at least {MIN_API_TOKEN_CHARS} characters with commas between", _api_token, may_be_empty=True
)
JWT_SECRET: Final = Kind("secret", f"a secret of at least {MIN_JWT_SECRET_BYTES} bytes", _jwt_secret, may_be_empty=True)
