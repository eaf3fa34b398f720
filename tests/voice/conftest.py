"""A voice service on a real database, with everything else made up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.storage.database import Database
from server.storage.sessions import SqliteSessionStore
from server.voice.recorder import Recorder
from server.voice.service import VoiceService
from tests.voice.fakes import Events, FakeClock, FakeMedia, FakeSettings, FlakyStore, ManualSleep


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "voice.db")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(database: Database, clock: FakeClock) -> FlakyStore:
    return FlakyStore(SqliteSessionStore(database, now=clock.now))


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def rounds() -> ManualSleep:
    """The sleep between two rounds of the service."""
    return ManualSleep()


@pytest.fixture
def retries() -> ManualSleep:
    """The sleep between two retries of the recorder."""
    return ManualSleep()


@pytest.fixture
def recorder(store: FlakyStore, retries: ManualSleep) -> Recorder:
    return Recorder(store, sleep=retries)


@pytest.fixture
async def service(
    *, store: FlakyStore, clock: FakeClock, media: FakeMedia, events: Events, rounds: ManualSleep, recorder: Recorder
) -> AsyncIterator[VoiceService]:
    service = VoiceService(FakeSettings(), store, clock=clock, recorder=recorder, sleep=rounds, close_timeout_seconds=2)
    service.use_media(media)
    service.subscribe(events)
    await service.start()
    yield service
    await service.close()
