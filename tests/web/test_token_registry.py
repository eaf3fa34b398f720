"""Tokens that come and go in the database, as a running server knows them."""

from __future__ import annotations

import hashlib

import pytest

from server.storage.tokens import TokenState
from server.voice.participant import Role
from server.voice.ports import StoreError
from server.web.auth import Identity, IdentityKind
from server.web.token_registry import LOOK_EVERY_SECONDS, TokenRegistry
from tests.voice.fakes import ManualSleep


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class FakeStore:
    def __init__(self) -> None:
        self.api: dict[str, str] = {}
        self.revoked: list[str] = []
        self.broken = False

    async def state(self, after: int) -> TokenState:
        if self.broken:
            raise StoreError("the disk is full")
        return TokenState(tuple(sorted(self.api.items())), tuple(self.revoked[after:]), len(self.revoked))


def person(jti: str | None, parent: str | None = None) -> Identity:
    return Identity(IdentityKind.USER, Role.USER, user_id="anna", jti=jti, parent_jti=parent)


async def test_what_changes_is_noticed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    store, sleep, told = FakeStore(), ManualSleep(), list[str]()
    store.api = {"one": digest("1"), "two": digest("2")}
    store.revoked = ["before"]
    registry = TokenRegistry(store, sleep=sleep)

    async def listen(credential: str) -> None:
        told.append(credential)
        if credential == "api:one":
            raise RuntimeError("a listener of ours")

    registry.subscribe(listen)
    await registry.start()
    assert await sleep.next() == LOOK_EVERY_SECONDS
    assert (told, registry.is_revoked(person("before"))) == ([], True)
    assert [registry.label_of(token) for token in ("1", "2", "3", "")] == ["one", "two", None, None]

    del store.api["one"]
    store.revoked.append("jti")
    sleep.wake()
    await sleep.next()
    assert told == ["api:one", "jti"]
    assert "could not be closed" in caplog.text
    assert registry.label_of("1") is None
    assert [registry.is_revoked(person(*ids)) for ids in (("jti",), ("own", "jti"), ("other",), (None,))] == [
        True,
        True,
        False,
        False,
    ]

    store.broken = True
    sleep.wake()
    await sleep.next()
    assert registry.label_of("2") == "two", "what was known still holds"
    await registry.stop()
    await registry.stop()
