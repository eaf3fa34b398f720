"""Results of a contest: what is in the JSON, and the table for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.report import machine
from bench.shapes import Shape

__all__ = ["ContestReport", "Result", "contest_table"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one of them did under one load, over all rounds. Delays in microseconds, None where they cannot be measured."""

    name: str
    profile: str
    packets_per_second: float
    asked_per_second: float
    us_per_packet: float
    cpu_share: float
    loss: float
    p50_us: float | None
    p99_us: float | None
    max_us: float | None
    generator_cpu: float
    others_cpu: float


@dataclass(frozen=True, slots=True)
class ContestReport:
    """`pairs` are results that belong together: ours first, the other's after it. `skipped` says who did not run, and why."""

    shapes: list[Shape]
    pairs: list[tuple[Result, Result]]
    kernel_us_per_packet: float | None
    skipped: dict[str, str]

    def ratios(self) -> dict[str, float]:
        """CPU a packet: ours to the other's."""
        return {other.name: ours.us_per_packet / other.us_per_packet for ours, other in self.pairs}

    def ratios_at_our_best(self) -> dict[str, float]:
        """The same, with ours under whichever of the loads it is cheapest a packet: it gets cheaper with the load."""
        best = min((ours.us_per_packet for ours, _ in self.pairs), default=0.0)
        return {other.name: best / other.us_per_packet for _, other in self.pairs}

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        summary = {
            "ratios": self.ratios(),
            "ratios_at_our_best": self.ratios_at_our_best(),
            "kernel_us_per_packet": self.kernel_us_per_packet,
        }
        return {"benchmark": "peers", "machine": machine(), "summary": summary} | asdict(self)


def contest_table(report: ContestReport) -> str:
    """The report as a table for the terminal."""
    lines = []
    for shape, (ours, other) in zip(report.shapes, report.pairs, strict=True):
        lines.append(
            f"{shape.rooms} rooms of {shape.size}, {shape.speakers} talk: {shape.packets_out_per_second:,.0f} packets/s out"
        )
        lines += [_line(result) for result in (ours, other)]
        lines += [f"  ours to {other.name}: {ours.us_per_packet / other.us_per_packet:.3f} of the CPU a packet", ""]
    for name, ratio in report.ratios_at_our_best().items():
        if ratio < report.ratios()[name]:
            lines.append(f"ours under the larger load to {name}: {ratio:.4f} of the CPU a packet")
    if report.kernel_us_per_packet is not None:
        lines.append(f"kernel's share: {report.kernel_us_per_packet:.2f} µs a packet")
    lines += [f"SKIPPED: {name}: {why}" for name, why in report.skipped.items()]
    return "\n".join(lines)


def _line(result: Result) -> str:
    if result.p50_us is None or result.p99_us is None or result.max_us is None:
        delay = "delay not to be seen, it encodes anew"
    else:
        delay = f"delay p50 {result.p50_us / 1000:.2f} p99 {result.p99_us / 1000:.2f} max {result.max_us / 1000:.2f} ms"
    profile = result.profile.removeprefix("SRTP_")
    return (
        f"  {result.name:<20} {profile:<16} {result.packets_per_second:9,.0f}/s  {result.us_per_packet:8.2f} µs a packet"
        f"  {result.cpu_share:6.1%} of a core  loss {result.loss:8.4%}  {delay}  (generator {result.generator_cpu:.0%},"
        f" others {result.others_cpu:.0%})"
    )
