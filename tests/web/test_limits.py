"""Who calls too often: clear errors that say when to come back, for that caller and nobody else."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import throttled.utils
from aiohttp import WSServerHandshakeError

from server.errors import RateLimited
from server.limit_rules import LimitRule, parse_rules
from server.storage.sessions import SqliteSessionStore
from server.voice.participant import Role
from server.voice.ports import NewSession
from server.web.auth import Identity, IdentityKind
from server.web.limits import RateLimiter, SocketCounter
from tests.support import ServerFactory
from tests.web.conftest import MakeSite
from tests.web.site import Site, bearer, voice_join

API = Identity(IdentityKind.API, Role.ADMIN)
LABELLED = Identity(IdentityKind.API, Role.ADMIN, name="bot")
ANNA = Identity(IdentityKind.USER, Role.USER, user_id="anna")
BEN = Identity(IdentityKind.USER, Role.USER, user_id="ben")


class Time:
    """The library's clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(throttled.utils, "now_mono_f", lambda: time.now)
    return time


def refused(limiter: RateLimiter, kind: str, *, address: str | None = None, identity: Identity | None = None) -> int | None:
    """When to come back; None where it is let through."""
    try:
        limiter.check(kind, address=address, identity=identity)
    except RateLimited as problem:
        return problem.retry_after
    return None


def test_a_rule_lets_so_many_through_and_then_one_by_one(time: Time) -> None:
    limiter = RateLimiter(parse_rules("join=3/60s"))
    assert [refused(limiter, "join", identity=ANNA) for _ in range(5)] == [None, None, None, 20, 20]
    time.now += 5.5
    assert refused(limiter, "join", identity=ANNA) == 15
    time.now += 14.6
    assert [refused(limiter, "join", identity=ANNA) for _ in range(2)] == [None, 20]
    time.now += 600
    assert [refused(limiter, "join", identity=ANNA) for _ in range(4)] == [None, None, None, 20]


def test_callers_and_kinds_are_counted_apart(time: Time) -> None:
    limiter = RateLimiter(parse_rules("join=1/60s,report=1/60s,guest=1/60s"))
    for identity in (ANNA, BEN, API, LABELLED):
        assert refused(limiter, "join", address="192.0.2.1", identity=identity) is None
        assert refused(limiter, "join", address="192.0.2.1", identity=identity) == 60
        assert refused(limiter, "report", identity=identity) is None
    for address in ("192.0.2.1", "192.0.2.2"):
        assert refused(limiter, "guest", address=address) is None
        assert refused(limiter, "guest", address=address) == 60
    assert [refused(limiter, "admin", identity=API) for _ in range(100)] == [None] * 100
    assert [refused(limiter, "guest", address=None) for _ in range(3)] == [None] * 3


def test_a_session_counts_for_its_user(time: Time) -> None:
    limiter = RateLimiter(parse_rules("leave=1/60s"))
    session = Identity(IdentityKind.SESSION, Role.USER, user_id="anna", session_id="s")
    assert refused(limiter, "leave", identity=session) is None
    assert refused(limiter, "leave", identity=ANNA) == 60


def test_api_tokens_may_have_rules_of_their_own(time: Time) -> None:
    limiter = RateLimiter(parse_rules("join=1/60s,join_api=2/60s"))
    assert [refused(limiter, "join", identity=API) for _ in range(3)] == [None, None, 30]
    assert [refused(limiter, "join", identity=ANNA) for _ in range(2)] == [None, 60]


def test_memory_is_bounded(time: Time) -> None:
    limiter = RateLimiter(parse_rules("guest=1/60s"), max_callers=10)
    assert refused(limiter, "guest", address="victim") is None
    for number in range(1000):
        refused(limiter, "guest", address=f"flood {number}")
    # Forgotten, as it has not called for the longest time.
    assert refused(limiter, "guest", address="victim") is None


def test_messages_of_a_connection(time: Time) -> None:
    limiter = RateLimiter({"message": LimitRule(2, 10)})
    meter, other = limiter.messages(), limiter.messages()
    assert meter is not None
    assert other is not None
    assert meter.take()
    assert meter.take()
    with pytest.raises(RateLimited) as told:
        meter.take()
    assert (told.value.retry_after, told.value.details, meter.exhausted) == (5, {"kind": "message"}, False)
    assert not meter.take()  # told once is enough
    assert meter.exhausted
    assert other.take()
    time.now += 5
    assert meter.take()
    with pytest.raises(RateLimited):
        meter.take()
    assert RateLimiter({}).messages() is None


def test_sockets_of_an_address() -> None:
    counter = SocketCounter(2)
    for address in ("a", "a", "b", None, None, None):
        counter.enter(address)
    with pytest.raises(RateLimited) as refused:
        counter.enter("a")
    assert (refused.value.retry_after, refused.value.details) == (10, {"kind": "sockets"})
    counter.leave("a")
    counter.enter("a")
    for address in ("a", "a", "b", None):
        counter.leave(address)
    assert len(counter) == 0
    without = SocketCounter(0)
    for _ in range(5000):
        without.enter("a")


# --- on the wire ----------------------------------------------------------------------------------------------------


async def limited(make_site: MakeSite, rules: str, **settings: Any) -> Site:
    return await make_site(settings, limiter=RateLimiter(parse_rules(rules)))


async def statuses(site: Site, times: int, path: str, body: object, headers: dict[str, str] | None = None) -> list[int]:
    return [(await site.post(path, body, headers)).status for _ in range(times)]


async def test_joins_of_one_caller(make_site: MakeSite) -> None:
    site = await limited(make_site, "join=2/60s")
    body = {"room_id": "lobby", "user_id": "anna", "username": "Anna", "world": "materie"}
    assert await statuses(site, 2, "/api/voice/join", body, bearer(site.user_token("anna"))) == [200, 409]
    answer = await site.post("/api/voice/join", body, bearer(site.user_token("anna")))
    told = await answer.json()
    assert (answer.status, told["error"], told["kind"]) == (429, "Rate limited", "join")
    assert told["message"] == "Zu viele Anfragen. Bitte einen Moment warten."
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    other = {**body, "user_id": "ben", "username": "Ben"}
    assert await statuses(site, 1, "/api/voice/join", other, bearer(site.user_token("ben"))) == [200]


async def test_guests_of_one_address_also_behind_a_proxy(make_site: MakeSite) -> None:
    site = await limited(make_site, "guest=2/60s")
    first, second = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "6.6.6.6, 198.51.100.8"}
    assert await statuses(site, 3, "/api/auth/guest", {"username": "Anna"}, first) == [200, 200, 429]
    assert await statuses(site, 3, "/api/auth/guest", {"username": "Anna"}, second) == [200, 200, 429]
    assert await statuses(site, 3, "/api/auth/guest", {"username": "Anna"}) == [200, 200, 429]
    unbelieved = await limited(make_site, "guest=2/60s", trusted_proxies=())
    assert await statuses(unbelieved, 2, "/api/auth/guest", {"username": "Anna"}, first) == [200, 200]
    assert await statuses(unbelieved, 1, "/api/auth/guest", {"username": "Anna"}, second) == [429]


async def test_bad_tokens_of_one_address_do_not_keep_good_ones_out(make_site: MakeSite) -> None:
    site = await limited(make_site, "refused=3/60s,read=1000/60s")
    path = "/api/voice/rooms/materie"
    got = [(await site.client.get(path, headers=bearer(f"nonsense {number}"))).status for number in range(5)]
    assert got == [401, 401, 401, 429, 429]
    assert (await site.client.get(path)).status == 429
    assert (await site.client.get(path, headers=site.api)).status == 200
    assert await statuses(site, 1, "/api/voice/leave", {"session_id": "s", "session_token": "nonsense"}) == [429]


async def test_connections_of_one_address(make_site: MakeSite) -> None:
    site = await limited(make_site, "socket=3/60s", max_sockets_per_address=2)
    first = await site.socket()
    await site.socket()
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.socket()
    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert refused.value.headers["Retry-After"] == "10"
    await first.raw.close()
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.socket()  # there is a place, but it is the fourth within a minute
    assert refused.value.status == 429


async def test_a_closed_connection_gives_its_place_back(make_site: MakeSite) -> None:
    site = await limited(make_site, "off", max_sockets_per_address=1)
    for _ in range(3):
        socket, joined = await site.enter()
        await socket.raw.close()
        await site.detached()
        await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)


async def test_a_flood_of_messages_is_told_once_and_then_closed(make_site: MakeSite) -> None:
    site = await limited(make_site, "message=5/60s")
    socket, joined = await site.enter()
    for _ in range(4):
        assert (await socket.ask({"type": "ping"}))["type"] == "pong"
    await socket.send({"type": "ping"})
    told = await socket.until("voice_error")
    assert (told["code"], told["error"], told["sessionId"], told["kind"]) == (
        429,
        "Rate limited",
        joined["session_id"],
        "message",
    )
    assert 1 <= told["retryAfter"] <= 12
    for _ in range(4):
        await socket.send({"type": "ping"})
    assert await socket.close_code() == 4429
    assert site.service.roster("lobby")[0].session_id == joined["session_id"]  # the stay and its audio go on
    again = await site.socket()
    assert (await again.ask(voice_join(joined)))["resumed"]


def stay(site: Site, user: str, room: str) -> NewSession:
    return NewSession(f"{user} {room}", room, user, user.title(), "materie", None, Role.USER, site.clock.now())


async def test_rooms_of_one_user(site: Site) -> None:
    store = SqliteSessionStore(site.database, now=site.clock.now, max_rooms_per_user=2)
    for room in ("a", "b"):
        await store.open_session(stay(site, "anna", room), 10)
    with pytest.raises(RateLimited) as refused:
        await store.open_session(stay(site, "anna", "c"), 10)
    assert (refused.value.retry_after, refused.value.details) == (10, {"kind": "rooms"})
    await store.open_session(stay(site, "ben", "c"), 10)


async def test_the_settings_of_a_server_hold(start_server: ServerFactory) -> None:
    server = await start_server(rate_limits="guest=1/60s", max_sockets_per_address=1, max_rooms_per_user=1)
    join = {"user_id": "anna", "username": "Anna", "world": "materie"}
    async with aiohttp.ClientSession(server.url) as http:
        guests = [(await http.post("/api/auth/guest", json={"username": "Anna"})).status for _ in range(2)]
        joins = [
            (await http.post("/api/voice/join", json={**join, "room_id": room}, headers=server.headers)).status
            for room in ("a", "b")
        ]
        async with http.ws_connect("/api/ws"):
            with pytest.raises(WSServerHandshakeError):
                await http.ws_connect("/api/ws")
    assert (guests, joins) == ([200, 429], [200, 429])
