"""How the limit is looked for, on servers that are made up."""

from __future__ import annotations

import pytest

from bench.search import Attempt, EndedBy, Step, climb, halve_in


def step(units: int, *, p99_us: float = 1000.0, loss: float = 0.0, generator_cpu: float = 0.5, drops: int = 0) -> Step:
    return Step(units, units * 4500.0, loss, 8.0, 0.5, 100.0, p99_us, p99_us, 1.0, generator_cpu, 50.0, drops)


def server_that_carries(most: int, tried: list[int]) -> Attempt:
    async def attempt(units: int) -> Step:
        tried.append(units)
        return step(units, p99_us=1000.0 if units <= most else 50_000.0)

    return attempt


@pytest.mark.parametrize("most", [1, 2, 3, 17, 25, 39])
async def test_the_limit_is_found_to_a_twentieth(most: int) -> None:
    tried: list[int] = []
    steps, ended_by = await halve_in(server_that_carries(most, tried), 2, 40)
    assert max(s.units for s in steps if s.holds) == pytest.approx(most, abs=2)
    assert ended_by is EndedBy.SERVER
    assert len(tried) < 20


async def test_a_ceiling_that_holds_is_told() -> None:
    tried: list[int] = []
    steps, ended_by = await halve_in(server_that_carries(100, tried), 2, 10)
    assert (tried, ended_by) == ([2, 4, 8, 10], EndedBy.CEILING)
    assert all(s.holds for s in steps)


async def test_one_hiccup_is_no_limit() -> None:
    seen: set[int] = set()

    async def attempt(units: int) -> Step:
        first = units not in seen
        seen.add(units)
        return step(units, loss=0.01 if first else 0.0)

    steps, ended_by = await halve_in(attempt, 4, 8)
    assert ended_by is EndedBy.CEILING
    assert [s.units for s in steps] == [4, 4, 8, 8]


@pytest.mark.parametrize(("cpu", "drops"), [(0.99, 0), (0.5, 3)])
async def test_a_generator_at_its_limit_is_not_the_servers(cpu: float, drops: int) -> None:
    async def attempt(units: int) -> Step:
        return step(units) if units < 8 else step(units, loss=0.2, generator_cpu=cpu, drops=drops)

    _, ended_by = await halve_in(attempt, 2, 40)
    assert ended_by is EndedBy.GENERATOR


async def test_nothing_holds() -> None:
    steps, ended_by = await halve_in(server_that_carries(0, []), 1, 4)
    assert not any(s.holds for s in steps)
    assert ended_by is EndedBy.SERVER


async def test_people_are_only_added() -> None:
    tried: list[int] = []
    _, ended_by = await climb(server_that_carries(90, tried), 53, 500)
    assert tried == [53, 67, 84, 105, 105]
    assert ended_by is EndedBy.SERVER
    assert (await climb(server_that_carries(90, []), 53, 80))[1] is EndedBy.CEILING
    assert (await climb(server_that_carries(90, []), 53, 20))[1] is EndedBy.CEILING
