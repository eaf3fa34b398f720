"""One look into the database from outside the server, which may well be running at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server import data_folder
from server.config import Settings
from server.storage.database import Database

__all__ = ["with_database"]

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the opened database. Raises `ConfigError` for one that cannot be used, and what `work` raises."""
    data_folder.make(settings)

    async def run() -> T:
        database = Database(settings.database)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
