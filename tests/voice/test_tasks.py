from __future__ import annotations

import asyncio

import pytest

from server.voice.tasks import OwnedTasks


async def test_settle_waits_for_what_is_added_meanwhile() -> None:
    tasks = OwnedTasks()
    done: list[str] = []

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        _ = tasks.spawn(second(), "second")
        done.append("first")

    _ = tasks.spawn(first(), "first")
    await tasks.settle()
    assert done == ["first", "second"]
    assert len(tasks) == 0


async def test_cancel_ends_what_is_left() -> None:
    tasks = OwnedTasks()
    task = tasks.spawn(asyncio.Event().wait(), "endless")
    await tasks.cancel()
    assert task.cancelled()


async def test_a_failure_is_the_waiting_one_s() -> None:
    tasks = OwnedTasks()

    async def fail() -> None:
        raise OSError("no")

    task = tasks.spawn(fail(), "failing")
    await tasks.settle()
    with pytest.raises(OSError, match="no"):
        task.result()
