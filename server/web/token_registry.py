"""Which tokens hold now: API tokens that were added to the database, and tokens that were revoked there.

The database is looked at several times a second, so that `weltenstimme token` in another process is felt without a restart, and
no request waits for it. What is revoked ends what is open: whoever wants to know of it subscribes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from server.storage.tokens import TokenState
from server.voice.ports import StoreError
from server.web.auth import Identity, api_credential

__all__ = ["TokenRegistry"]

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS: Final = 0.25


class TokenStore(Protocol):
    """Where tokens are kept."""

    async def state(self, after: int) -> TokenState:
        """Raises `StoreError`."""
        ...


Listener = Callable[[str], Awaitable[None]]
"""Told the credential of a token that was revoked: the `jti` of a user token, `api:` and the label of an API token."""


class TokenRegistry:
    """Implements `Revocations` and `ApiTokens` of `server.web.auth`. `start` before use, `stop` after."""

    def __init__(self, store: TokenStore, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._store = store
        self._sleep = sleep
        self._api: tuple[tuple[str, bytes], ...] = ()
        self._revoked: set[str] = set()
        self._newest = 0
        self._listeners: tuple[Listener, ...] = ()
        self._looking: asyncio.Task[None] | None = None

    def subscribe(self, listener: Listener) -> None:
        """Tell `listener` of every revocation from now on."""
        self._listeners = (*self._listeners, listener)

    async def start(self) -> None:
        """Look once, and then again and again. Raises `StoreError`."""
        self._take(await self._store.state(self._newest))
        self._looking = asyncio.get_running_loop().create_task(self._look_forever(), name="token-registry")

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
            self._looking = None

    async def look(self) -> None:
        """Take over what has changed, and tell of what was revoked. Raises `StoreError`."""
        for credential in self._take(await self._store.state(self._newest)):
            for listener in self._listeners:
                try:
                    await listener(credential)
                except Exception:
                    logger.exception("what a revoked token has opened could not be closed")

    def is_revoked(self, identity: Identity) -> bool:
        """Whether it, or the user token that it came from, was revoked."""
        return identity.jti in self._revoked or identity.parent_jti in self._revoked

    def label_of(self, token: str) -> str | None:
        """The label of an API token; None for one that is none."""
        digest = hashlib.sha256(token.encode()).hexdigest().encode()
        # All of them, always: the time it takes tells nothing.
        found = [label for label, known in self._api if hmac.compare_digest(digest, known)]
        return found[0] if found else None

    def _take(self, state: TokenState) -> list[str]:
        """What was revoked since the last look, as credentials."""
        labels = {label for label, _ in state.api}
        gone = [api_credential(label) for label, _ in self._api if label not in labels]
        self._api = tuple((label, digest.encode()) for label, digest in state.api)
        self._revoked.update(state.revoked)
        self._newest = state.newest
        return [*gone, *state.revoked]

    async def _look_forever(self) -> None:
        while True:
            await self._sleep(LOOK_EVERY_SECONDS)
            try:
                await self.look()
            except StoreError as problem:
                logger.warning("tokens could not be looked up: %s", problem)
