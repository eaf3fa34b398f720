"""`python -m bench media --find`: the highest load that holds, found by trying.

A load holds where less than one packet in a thousand is lost and 99 of 100 arrive within 20 ms of being sent. Of shapes with
rooms, more and fewer rooms talk; of shapes with one room, listeners are added. Where the generator is at its own limit before
the server, the search ends there and says so: the server carries more than was shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bench.kernel_share import Share
from bench.media import Stage, generator_health, stage
from bench.population import kib_a_participant
from bench.report import GeneratorHealth, ServerWindow, machine
from bench.search import Step, climb, halve_in
from bench.shapes import Others, Shape
from bench.windows import kernel_window, server_window

__all__ = ["LimitReport", "find", "grows_by_listeners", "limit_table"]

_WINDOW_SECONDS: Final = 2.0
_FIRST_ROOMS: Final = 2
_FIRST_LISTENERS: Final = 50


@dataclass(frozen=True, slots=True)
class LimitReport:
    """All that was tried, in the order of trying. `best` is the highest that held, None where none did."""

    shape: Shape
    steps: list[Step]
    best: Step | None
    ended_by: str
    kernel: Share | None
    kib_a_participant: float | None
    generator: GeneratorHealth

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        summary: dict[str, Any] = {"ended_by": self.ended_by, "complaints": self.generator.complaints()}
        if self.best is not None and self.kernel is not None:
            summary |= {
                "packets_per_second": self.best.packets_per_second,
                "us_per_packet": self.best.us_per_packet,
                "kernel_us_per_packet": self.kernel.us_per_packet,
                "ratio": self.best.us_per_packet / self.kernel.us_per_packet,
                "delay_p50_us": self.best.p50_us,
                "delay_p99_us": self.best.p99_us,
                "loss": self.best.loss,
                "kib_a_participant": self.kib_a_participant,
            }
        return {"benchmark": "limit", "machine": machine(), "summary": summary} | asdict(self)


def grows_by_listeners(shape: Shape) -> bool:
    """Whether the search adds listeners to the one room there is, and not rooms."""
    return shape.rooms == 1 and shape.others is Others.LISTEN


async def find(
    shape: Shape, *, ceiling: int, seconds: float = _WINDOW_SECONDS, tell: Callable[[str], None] = lambda _: None
) -> LimitReport:
    """Find the limit of this shape, at most `ceiling` rooms (of a shape with one room: people in it).

    Each load is measured for `seconds`; `tell` is called with a line about it. Raises RuntimeError where the server does not
    come up or does not let everybody in.
    """
    by_listeners = grows_by_listeners(shape)
    if by_listeners:
        shape = shape.with_size(ceiling)
        shape = replace(shape, settings={**shape.settings, "VOICE_MAX_PARTICIPANTS": str(max(shape.size, 10))})
    async with stage(shape) as ready:
        windows: list[ServerWindow] = []
        people = ready.people

        async def attempt(units: int) -> Step:
            if by_listeners:
                await people.grow(1, units)
                people.cast()
            else:
                await people.grow(units, shape.size)
                people.cast(units)
            step, window = await _step(ready, units, seconds)
            windows.append(window)
            tell(_line(step))
            return step

        if by_listeners:
            steps, ended_by = await climb(attempt, shape.speakers + _FIRST_LISTENERS, ceiling)
        else:
            steps, ended_by = await halve_in(attempt, _FIRST_ROOMS, ceiling)
        best = max((step for step in steps if step.holds), key=lambda step: step.packets_per_second, default=None)
        return LimitReport(
            shape=shape,
            steps=steps,
            best=best,
            ended_by=ended_by,
            kernel=await kernel_window(ready.target, windows[steps.index(best)], seconds) if best is not None else None,
            kib_a_participant=kib_a_participant(people.memory),
            generator=generator_health(windows, people, ready.target.cores),
        )


async def _step(ready: Stage, units: int, seconds: float) -> tuple[Step, ServerWindow]:
    shape, people = ready.people.shape, ready.people
    listeners = shape.listeners - shape.size + len(people.rooms[0])
    sent, received, drops = _counted(ready)
    window = await server_window(ready.target, seconds)
    sent_after, received_after, drops_after = _counted(ready)
    expected = (sent_after - sent) * listeners
    step = Step(
        units=units,
        packets_per_second=window.packets / window.seconds,
        loss=max(0.0, 1 - (received_after - received) / max(expected, 1)),
        us_per_packet=window.us_per_packet,
        server_cpu=window.cpu_ns / 1e9 / window.seconds,
        p50_us=window.delays.p50_us,
        p99_us=window.delays.p99_us,
        max_us=window.delays.max_us,
        loop_lag_ms=window.loop_lag_ms,
        generator_cpu=window.generator_cpu_ns / 1e9 / window.seconds,
        generator_late_p99_us=window.lateness.p99_us,
        generator_drops=drops_after - drops,
    )
    return step, window


def _counted(ready: Stage) -> tuple[int, int, int]:
    """Packets sent and received since the start, and datagrams that the generator did not read in time."""
    generator = ready.people.generator
    return sum(client.sent for client in ready.people.clients()), generator.totals().received, generator.drops()


def _line(step: Step) -> str:
    return (
        f"{step.units:5d}  {step.packets_per_second:9,.0f}/s  loss {step.loss:8.4%}  p50 {step.p50_us / 1000:6.2f} ms"
        f"  p99 {step.p99_us / 1000:7.2f} ms  server {step.server_cpu:5.1%}  {step.us_per_packet:5.2f} µs a packet"
        f"  lag {step.loop_lag_ms:6.1f} ms  generator {step.generator_cpu:5.1%}  {'holds' if step.holds else 'DOES NOT HOLD'}"
    )


def limit_table(report: LimitReport) -> str:
    """The report as a table for the terminal: one line for each load, the lowest first, then what follows from them."""
    lines = [_line(step) for step in sorted(report.steps, key=lambda step: step.packets_per_second)]
    if report.best is None or report.kernel is None:
        lines.append("no load held")
    else:
        best, kernel = report.best, report.kernel.us_per_packet
        lines += [
            f"highest load that held  {best.packets_per_second:,.0f} packets/s out, {best.us_per_packet:.2f} µs each",
            f"kernel's share          {kernel:.2f} µs, ratio {best.us_per_packet / kernel:.2f}",
            f"ended by                {report.ended_by}",
        ]
    if report.kib_a_participant is not None:
        lines.append(f"memory a participant    {report.kib_a_participant:.0f} KiB")
    if report.ended_by == "generator":
        lines.append("THE GENERATOR WAS THE LIMIT: the server carries at least this much.")
    lines += [f"DOUBTFUL, THE SERVER MAY NOT BE THE LIMIT: {complaint}" for complaint in report.generator.complaints()]
    return "\n".join(lines)
