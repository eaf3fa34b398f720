"""Tasks with an owner: none is forgotten by the garbage collector, and none fails unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["OwnedTasks"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class OwnedTasks:
    """The background work of one owner, which awaits it with `settle` or ends it with `cancel`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` apart from the caller, so that the caller's cancellation does not reach it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def settle_present(self) -> None:
        """Wait until what is there now has ended, whatever is added meanwhile."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def settle(self) -> None:
        """Wait until everything has ended, also what was added meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel what is left and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await self.settle()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.debug("task %s ended with %r", task.get_name(), problem)
