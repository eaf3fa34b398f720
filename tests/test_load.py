"""The live load."""

from __future__ import annotations

import asyncio

import pytest

from server.load import LoadMeter, LoadSampler, percentile


def test_nothing_measured_is_nothing() -> None:
    assert set(LoadMeter().figures().values()) == {0.0}


def test_rates_are_over_whole_seconds_and_the_busiest_is_kept_for_ten() -> None:
    meter = LoadMeter()
    packets = 0
    for second, rate in enumerate([100, 900, *[50] * 9]):
        meter.sent(packets, float(second))
        meter.sent(packets, second + 0.5)
        packets += rate
    meter.sent(packets, 11.0)
    assert meter.packets_per_second == 50
    assert meter.peak_packets_per_second == 900
    meter.sent(packets, 12.0)
    meter.sent(packets, 13.0)
    assert meter.peak_packets_per_second == 50


def test_a_counter_that_starts_anew_is_no_negative_rate() -> None:
    meter = LoadMeter()
    meter.sent(1000, 0.0)
    meter.sent(0, 1.0)
    assert meter.packets_per_second == 0


def test_lag_and_write_times_are_told_in_milliseconds() -> None:
    meter = LoadMeter()
    for number in range(100):
        meter.loop_was_late(0.050 if number == 0 else 0.001)
        meter.wrote(0.002)
    figures = meter.figures()
    assert figures["loop_lag_p50_ms"] == pytest.approx(1.0)
    assert figures["loop_lag_max_ms"] == figures["loop_lag_p99_ms"] == pytest.approx(50.0)
    assert figures["database_write_p99_ms"] == pytest.approx(2.0)
    assert meter.lag_ms(0.9) == pytest.approx(1.0)
    assert meter.figures()["loop_lag_now_ms"] == pytest.approx(1.0)


def test_what_was_ten_seconds_ago_is_forgotten() -> None:
    meter = LoadMeter()
    meter.loop_was_late(1.0)
    meter.loop_was_late(-0.001)
    assert meter.lateness == pytest.approx(0.1)
    for _ in range(178):  # of 50 ms each, beside the second that was lost
        meter.loop_was_late(0.0)
    assert meter.lateness == pytest.approx(0.1)
    meter.loop_was_late(0.0)
    assert meter.lateness == 0.0
    assert meter.figures()["loop_lag_max_ms"] == 0.0


def test_a_loop_that_is_always_late_by_half_a_turn_is_late_a_third_of_the_time() -> None:
    meter = LoadMeter()
    for _ in range(1000):
        meter.loop_was_late(0.025)
    assert meter.lateness == pytest.approx(1 / 3, abs=0.01)
    meter.loop_was_late(60.0)
    assert meter.lateness == 1.0


def test_percentiles_by_nearest_rank() -> None:
    assert percentile([], 0.5) == 0.0
    assert [percentile([3.0, 1.0, 2.0], fraction) for fraction in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]


async def test_the_sampler_feeds_the_meter_until_it_is_stopped() -> None:
    fed = asyncio.Event()

    def packets_out() -> int:
        fed.set()
        return 7

    meter = LoadMeter()
    sampler = LoadSampler(meter, packets_out)
    await sampler.stop()
    sampler.start()
    async with asyncio.timeout(5):
        await fed.wait()
    await sampler.stop()
    assert meter.lag_ms(1.0) < 5000
