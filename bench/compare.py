"""`python -m bench compare OLD [NEW]`: whether a version got worse, on whatever machine.

A result of a benchmark is compared with an earlier one of the same benchmark. CPU times count as multiples of the kernel's
share, which each result has from its own run; so do times of joins and requests, as a slower machine is slower in both. Without
NEW the benchmark runs again, as OLD says that it ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Comparison", "Figure", "compare", "comparison_table", "figures"]

_KERNEL: Final = "kernel_us_per_packet"
_LEAST_DELAY_US: Final = 500.0
"""Delays below it are those of a quiet machine: they do not get worse by doubling."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that a result tells. `more_is_better` turns the comparison round; `floor`: what is below counts as that much."""

    name: str
    value: float
    more_is_better: bool = False
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure, then and now. `change` is how much worse it is, as a share: 0.1 is a tenth worse, below 0 it is better."""

    name: str
    old: float
    new: float
    change: float
    is_worse: bool


def figures(result: Mapping[str, Any]) -> dict[str, Figure]:
    """What is compared of a result. Raises ValueError for one that is of no benchmark that can be compared."""
    readers = {"media": _media, "limit": _limit, "joins": _joins, "rest": _rest, "peers": _peers}
    name = result.get("benchmark")
    if name not in readers:
        raise ValueError(f"results of {name!r} cannot be compared")
    try:
        found = readers[name](result)
    except (KeyError, TypeError) as problem:
        raise ValueError(f"the result of {name} is not complete: {problem}") from None
    return {figure.name: figure for figure in found}


def compare(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float) -> list[Comparison]:
    """Figure by figure, those that both have. Raises ValueError for results of different benchmarks or loads."""
    if old.get("benchmark") != new.get("benchmark"):
        raise ValueError(f"a result of {old.get('benchmark')} cannot be compared with one of {new.get('benchmark')}")
    before, after = figures(old), figures(new)
    if _load(old) != _load(new):
        raise ValueError("the two results are of different loads")
    compared = []
    for name, figure in before.items():
        if name not in after:
            continue
        then, now = max(figure.value, figure.floor), max(after[name].value, figure.floor)
        first, second = (now, then) if figure.more_is_better else (then, now)
        change = second / first - 1 if first > 0 else (0.0 if second <= 0 else float("inf"))
        compared.append(Comparison(name, figure.value, after[name].value, change, change > tolerance))
    return compared


def _load(result: Mapping[str, Any]) -> Any:
    """What was asked of the server, without how long it was measured."""
    asked = result.get("shape") or result.get("shapes") or result.get("options") or {}
    entries = asked if isinstance(asked, list) else [asked]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def _media(result: Mapping[str, Any]) -> list[Figure]:
    summary = result["summary"]
    found = [
        Figure("CPU a packet / kernel's share", summary["ratio"]),
        Figure("delay p50, µs", summary["delay_p50_us"], floor=_LEAST_DELAY_US),
        Figure("delay p99, µs", summary["delay_p99_us"], floor=10 * _LEAST_DELAY_US),
        Figure("loss", summary["loss"], floor=0.001),
    ]
    if result.get("kib_a_participant") is not None:
        found.append(Figure("KiB a participant", result["kib_a_participant"]))
    return found


def _limit(result: Mapping[str, Any]) -> list[Figure]:
    summary = result["summary"]
    # what a core carries, in units of what it costs this machine's kernel to send a packet
    carried = summary["packets_per_second"] * summary[_KERNEL] / 1e6
    return [
        Figure("highest load x kernel's share", carried, more_is_better=True),
        Figure("CPU a packet / kernel's share", summary["ratio"]),
    ]


def _joins(result: Mapping[str, Any]) -> list[Figure]:
    unit = result["summary"][_KERNEL]
    found = []
    for name in ("steady", "storm"):
        burst = result[name]
        if burst is not None:
            found.append(Figure(f"{name}: join until heard p95 / kernel's share", burst["phases"]["total"]["p95"] * 1000 / unit))
            found.append(Figure(f"{name}: share that failed", burst["failed"] / max(burst["asked"], 1), floor=0.001))
    if result["leaks"] is not None:
        found.append(Figure("bytes left behind by a join", result["leaks"]["bytes_a_cycle"], floor=1000.0))
    return found


def _rest(result: Mapping[str, Any]) -> list[Figure]:
    unit = result["summary"][_KERNEL]
    found = [Figure(f"{kind} p99 / kernel's share", times["p99"] * 1000 / unit) for kind, times in result["times"].items()]
    return [*found, Figure("database write p99 / kernel's share", result["write_p99_ms"] * 1000 / unit)]


def _peers(result: Mapping[str, Any]) -> list[Figure]:
    return [Figure(f"CPU a packet / that of {name}", ratio) for name, ratio in result["summary"]["ratios"].items()]


def comparison_table(compared: list[Comparison], tolerance: float) -> str:
    """For the terminal."""
    width = max((len(entry.name) for entry in compared), default=0)
    lines = [f"{'':<{width}}  {'then':>10}  {'now':>10}  change"]
    for entry in compared:
        verdict = "WORSE" if entry.is_worse else ("better" if entry.change < -tolerance else "the same")
        lines.append(f"{entry.name:<{width}}  {entry.old:10.4g}  {entry.new:10.4g}  {entry.change:+7.1%}  {verdict}")
    return "\n".join(lines)
