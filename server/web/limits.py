"""Who calls too often is told so, and when to come back; nobody else feels it.

Every caller has a bucket for each kind of request (GCRA, by throttled-py). What is remembered is bounded: beyond `MAX_CALLERS`
the one who has not called for the longest time is forgotten. Addresses are in memory only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Final

from throttled import RateLimiterType, Throttled
from throttled.rate_limiter import Quota, Rate
from throttled.store import MemoryStore

from server.errors import RateLimited
from server.limit_rules import FOR_API_TOKENS, LimitRule
from server.web.auth import Identity, IdentityKind
from server.web.deps import MessageMeter

__all__ = ["BucketMeter", "RateLimiter", "SocketCounter"]

MAX_CALLERS: Final = 20_000
"""Some 10 MB."""


class RateLimiter:
    """Implements `server.web.deps.Limiter` by rules; a kind without a rule is not limited."""

    def __init__(self, rules: Mapping[str, LimitRule], *, max_callers: int = MAX_CALLERS) -> None:
        store = MemoryStore(options={"MAX_SIZE": max_callers})
        self._rules = dict(rules)
        self._buckets = {name: _bucket(rule, store) for name, rule in rules.items()}
        self._connections = count(1)

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        """See `Limiter.check`."""
        if identity is None:
            name, caller = kind, address
        elif identity.kind is IdentityKind.API:
            name = kind + FOR_API_TOKENS if kind + FOR_API_TOKENS in self._buckets else kind
            caller = f"api {identity.name or ''}"
        else:
            name, caller = kind, f"user {identity.user_id}"
        bucket = self._buckets.get(name)
        if bucket is None or caller is None:
            return
        taken = bucket.limit(f"{name} {caller}")
        if taken.limited:
            raise RateLimited(retry_after=_whole_seconds(taken.state.retry_after), kind=kind)

    def messages(self) -> MessageMeter | None:
        """See `Limiter.messages`."""
        rule = self._rules.get("message")
        if rule is None:
            return None
        return BucketMeter(self._buckets["message"], f"message {next(self._connections)}", patience=rule.times)


class BucketMeter:
    """Implements `server.web.deps.MessageMeter`. `patience`: how many refused messages are the end of the connection."""

    def __init__(self, bucket: Throttled, key: str, *, patience: int) -> None:
        self._bucket = bucket
        self._key = key
        self._patience = patience
        self._refused = 0
        self._refusing = False

    @property
    def exhausted(self) -> bool:
        return self._refused >= self._patience

    def take(self) -> bool:
        taken = self._bucket.limit(self._key)
        if not taken.limited:
            self._refusing = False
            return True
        self._refused += 1
        first, self._refusing = not self._refusing, True
        if first:
            raise RateLimited(retry_after=_whole_seconds(taken.state.retry_after), kind="message")
        return False


class SocketCounter:
    """How many connections each address has open; at most `limit`, 0 for no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        """How many addresses have one."""
        return len(self._open)

    def enter(self, address: str | None) -> None:
        """One more. Raises `RateLimited`, and does not count it then."""
        if address is None:
            return
        already = self._open.get(address, 0)
        if self._limit and already >= self._limit:
            raise RateLimited(retry_after=_FULL_RETRY_AFTER_SECONDS, kind="sockets")
        self._open[address] = already + 1

    def leave(self, address: str | None) -> None:
        """One less of those that were counted."""
        if address is None:
            return
        left = self._open[address] - 1
        if left:
            self._open[address] = left
        else:
            del self._open[address]


_FULL_RETRY_AFTER_SECONDS: Final = 10
"""Silent connections are gone by then."""


def _bucket(rule: LimitRule, store: MemoryStore) -> Throttled:
    quota = Quota(Rate(timedelta(seconds=rule.seconds), rule.times), rule.times)
    return Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store)


def _whole_seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))
