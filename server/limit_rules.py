"""How often one caller may do what: rules as `VOICE_RATE_LIMITS` has them, `join=30/60s,guest=10/60s`.

A rule holds for each caller by itself: a user, whatever tokens they have; an API token; and an address where nobody is known yet.
`join_api` in place of `join` is for API tokens, which speak for many, and `join` then for all others. What no rule names is not
limited. Times may come all at once, and then again one by one: `30/60s` lets 30 through and from then on one every 2 s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["DEFAULT_RULES", "FOR_API_TOKENS", "KINDS", "OFF", "LimitRule", "parse_rules"]

OFF: Final = "off"

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "action": "orders of moderators",
        "admin": "lists for operators",
        "guest": "new guests, by address",
        "join": "joins",
        "leave": "leaving by REST",
        "message": "messages of one WebSocket connection",
        "read": "who is where",
        "refused": "requests without a valid token, by address",
        "report": "reports about others",
        "socket": "new WebSocket connections, by address",
        "track": "reports about stays",
    }
)
"""What is counted, each for itself."""

DEFAULT_RULES: Final = (
    "guest=120/60s,join=60/60s,join_api=12000/60s,read=1200/60s,read_api=12000/60s,report=20/60s,report_api=1200/60s,"
    "action=300/60s,action_api=6000/60s,admin=6000/60s,refused=300/60s,socket=1200/60s,message=600/10s"
)
"""More than any community needs, a hundred people behind one address included; less than would be felt in a call."""

FOR_API_TOKENS: Final = "_api"
"""What the name of a rule for API tokens ends with."""
_RULE: Final = re.compile(r"([a-z_]+)=([1-9][0-9]{0,6})/([1-9][0-9]{0,4})s")


@dataclass(frozen=True, slots=True)
class LimitRule:
    """So many times within so many seconds."""

    times: int
    seconds: int


def parse_rules(text: str) -> dict[str, LimitRule]:
    """The rules by name; none for `off`. Raises `ValueError`, whose text is the middle of a sentence."""
    if text.strip().lower() == OFF:
        return {}
    rules: dict[str, LimitRule] = {}
    for part in text.split(","):
        found = _RULE.fullmatch(part.strip())
        if found is None:
            raise ValueError("has a rule that cannot be read")
        name = found[1]
        if name.removesuffix(FOR_API_TOKENS) not in KINDS:
            raise ValueError("has a rule for something that is not counted")
        if name in rules:
            raise ValueError("has a rule twice")
        rules[name] = LimitRule(int(found[2]), int(found[3]))
    return rules
