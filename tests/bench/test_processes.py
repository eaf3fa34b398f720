"""Cores and clocks of a benchmark."""

from __future__ import annotations

import os
import time

import pytest

from bench.processes import Cores, CpuClock, machine_idle_seconds, on_cores


def test_server_and_generator_have_a_core_each_where_there_are_two() -> None:
    cores = Cores.choose()
    assert cores.server <= os.sched_getaffinity(0)
    assert cores.are_shared == (len(os.sched_getaffinity(0)) < 2)


def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset([min(before)])
    with on_cores(one):
        assert os.sched_getaffinity(0) == set(one)
    assert os.sched_getaffinity(0) == before


def test_the_cpu_clock_of_another_process_is_the_one_it_sees_itself() -> None:
    clock = CpuClock(os.getpid())
    before = clock.read_ns()
    while time.process_time_ns() - before < 30_000_000:
        pass
    own, seen = time.process_time_ns(), clock.read_ns()
    assert abs(seen - own) < 20_000_000
    user, system = clock.user_and_system_seconds()
    assert abs(user + system - seen / 1e9) < 0.1
    assert clock.resident_kib() > 1000
    assert clock.sleeps() > 0


def test_a_core_that_works_is_not_idle() -> None:
    began, idle, own = time.monotonic(), machine_idle_seconds(), time.process_time()
    while time.process_time() - own < 0.2:
        pass
    elapsed, idle = time.monotonic() - began, machine_idle_seconds() - idle
    assert 0 <= idle < elapsed * (os.cpu_count() or 1) - 0.1


def test_a_process_that_is_gone_has_no_clock() -> None:
    with pytest.raises(OSError, match=r".+"):
        CpuClock(2**22 + 1).read_ns()
