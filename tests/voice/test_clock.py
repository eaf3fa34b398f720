from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from server.voice.clock import SystemClock, whole_ms


async def test_the_machine_s_clock_is_the_loop_s_clock() -> None:
    clock = SystemClock()
    before = asyncio.get_running_loop().time()
    between = clock.monotonic()
    assert before <= between <= asyncio.get_running_loop().time()
    assert abs(datetime.now(UTC) - clock.now()) < timedelta(minutes=1)


def test_cut_to_the_millisecond() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)
    assert whole_ms(moment).microsecond == 999_000
    assert whole_ms(whole_ms(moment)) == whole_ms(moment)
