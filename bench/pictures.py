"""What is drawn of each benchmark."""

from __future__ import annotations

from bench.contest_report import ContestReport
from bench.joins import JoinsReport
from bench.limit import LimitReport
from bench.picture import Bar, Line, bar_chart, line_chart
from bench.report import MediaReport, machine
from bench.rest import RestReport
from bench.search import LATEST_P99_US

__all__ = ["draw_contest", "draw_joins", "draw_limit", "draw_media", "draw_rest"]


def _where() -> str:
    found = machine()
    return f"{found['cpu']}, {found['cores']} cores, Linux {found['kernel']}, Python {found['python']}"


def draw_media(report: MediaReport) -> str:
    """CPU a packet, of the server and of the kernel alone."""
    shape = report.shape
    bars = [
        Bar("the server", [report.us_per_packet]),
        Bar("kernel's share", [report.kernel_us_per_packet]),
    ]
    title = f"CPU a packet: {shape.rooms} × {shape.size} people, {shape.packets_out_per_second:,.0f} packets/s out"
    delays = f"delay p50 {report.delay_us('p50_us') / 1000:.2f} ms, p99 {report.delay_us('p99_us') / 1000:.2f} ms; {_where()}"
    return bar_chart(title, "µs", ["CPU"], bars, note=delays)


def draw_limit(report: LimitReport) -> str:
    """Delay over the load, up to where it does not hold any more."""
    steps = sorted(report.steps, key=lambda step: step.packets_per_second)
    lines = [
        Line("delay p50", [(step.packets_per_second, step.p50_us / 1000) for step in steps]),
        Line("delay p99", [(step.packets_per_second, step.p99_us / 1000) for step in steps]),
    ]
    best = (
        "no load held"
        if report.best is None
        else f"{report.best.packets_per_second:,.0f} packets/s held, ended by {report.ended_by}"
    )
    title = f"Added delay over the load ({report.shape.name})"
    return line_chart(title, "packets a second out", "ms", lines, limit=LATEST_P99_US / 1000, note=f"{best}; {_where()}")


def draw_joins(report: JoinsReport) -> str:
    """The phases of a join, at a steady rate and in a storm."""
    bars = []
    for name, burst in (("steady", report.steady), ("storm", report.storm)):
        if burst is not None:
            bars += [
                Bar(f"{name}: {phase}", [values["p50"], values["p95"], values["p99"]]) for phase, values in burst.phases.items()
            ]
    rate = f"{report.options.rate:g} joins a second, then {report.options.storm} at once"
    return bar_chart("From the first request until heard", "ms", ["p50", "p95", "p99"], bars, note=f"{rate}; {_where()}")


def draw_rest(report: RestReport) -> str:
    """Requests by kind."""
    bars = [Bar(kind, [times.p50, times.p99]) for kind, times in sorted(report.times.items())]
    bars.append(Bar("database write", [report.write_p50_ms, report.write_p99_ms]))
    options = report.options
    title = f"REST with {options.sessions:,} sessions stored, under {options.rate:g} joins a second"
    return bar_chart(title, "ms", ["p50", "p99"], bars, note=_where())


def draw_contest(report: ContestReport) -> str:
    """CPU a packet of everyone, load by load."""
    bars = []
    for shape, pair in zip(report.shapes, report.pairs, strict=True):
        bars += [Bar(f"{result.name} at {shape.packets_out_per_second:,.0f}/s", [result.us_per_packet]) for result in pair]
    if report.kernel_us_per_packet is not None:
        bars.append(Bar("kernel's share", [report.kernel_us_per_packet]))
    return bar_chart("CPU a forwarded packet", "µs", ["CPU"], bars, note=_where())
