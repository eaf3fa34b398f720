"""Results of a media run: what is in the JSON, and the table for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.kernel_share import Share
from bench.shapes import Shape
from bench.streams import Delays

__all__ = ["GeneratorHealth", "MediaReport", "Round", "ServerWindow", "machine", "media_table"]

SATURATED_CPU: Final = 0.9
"""From this share of its core on, the generator may be what limits the run …"""
NOISY_CPU: Final = 0.15
"""… or what runs beside it, from this share of a core on, …"""
SATURATED_LATENESS_US: Final = 5000
"""… or so it is when one packet in a hundred is sent this late."""


@dataclass(frozen=True, slots=True)
class ServerWindow:
    """One measured stretch of the server at work."""

    seconds: float
    packets: int
    cpu_ns: int
    user_seconds: float
    system_seconds: float
    wake_ups: int
    delays: Delays
    lateness: Delays
    generator_cpu_ns: int
    others_cpu_seconds: float
    loop_lag_ms: float = 0.0

    @property
    def us_per_packet(self) -> float:
        """CPU microseconds of the server process a packet sent."""
        return self.cpu_ns / 1000 / max(self.packets, 1)


@dataclass(frozen=True, slots=True)
class Round:
    """The server, with the kernel's share measured before and after it."""

    server: ServerWindow
    kernel: Share

    @property
    def ratio(self) -> float:
        """CPU a packet: the server's to the kernel's."""
        return self.server.us_per_packet / self.kernel.us_per_packet


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """Whether the generator was good enough to measure with. Shares are of one core; the others' is what ran beside the run."""

    cpu_share: float
    others_cpu_share: float
    lateness: Delays
    drops: int
    send_failures: int
    cores_shared: bool

    def complaints(self) -> list[str]:
        """Why the figures may be the generator's and not the server's; empty where all is well."""
        found = []
        if self.cores_shared:
            found.append("generator and server share one core")
        if self.cpu_share > SATURATED_CPU:
            found.append(f"the generator used {self.cpu_share:.0%} of its core")
        if self.others_cpu_share > NOISY_CPU:
            found.append(f"the machine was not quiet: other processes used {self.others_cpu_share:.0%} of a core")
        if self.lateness.p99_us > SATURATED_LATENESS_US:
            found.append(f"one packet in a hundred was sent {self.lateness.p99_us / 1000:.1f} ms late")
        if self.drops:
            found.append(f"the generator did not read {self.drops} datagrams in time")
        if self.send_failures:
            found.append(f"the kernel did not take {self.send_failures} of the generator's packets")
        return found


@dataclass(frozen=True, slots=True)
class MediaReport:
    """All of a run. Losses are counted over the whole of it, pauses and warm-up included."""

    shape: Shape
    profile: str
    rounds: list[Round]
    datagram_bytes: int
    sent: int
    expected: int
    received: int
    gaps: int
    late: int
    sampled: int
    unreadable: int
    strays: int
    server_media: dict[str, float]
    resident_kib: int
    kib_a_participant: float | None
    """What each one who connected added; None where there were too few."""
    generator: GeneratorHealth

    @property
    def loss(self) -> float:
        """Share of the packets that should have come and did not."""
        return 1 - self.received / self.expected if self.expected else 0.0

    @property
    def us_per_packet(self) -> float:
        """CPU microseconds of the server a packet, over all rounds."""
        return sum(r.server.cpu_ns for r in self.rounds) / 1000 / max(1, sum(r.server.packets for r in self.rounds))

    @property
    def kernel_us_per_packet(self) -> float:
        """The kernel's share a packet, over all rounds."""
        return sum(r.kernel.cpu_ns for r in self.rounds) / 1000 / max(1, sum(r.kernel.packets for r in self.rounds))

    @property
    def ratio(self) -> float:
        """The server's to the kernel's, over all rounds."""
        return self.us_per_packet / self.kernel_us_per_packet

    def delay_us(self, name: str) -> float:
        """The mean over the rounds of one figure of `Delays`."""
        return _mean([getattr(r.server.delays, name) for r in self.rounds])

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        summary = {
            "loss": self.loss,
            "us_per_packet": self.us_per_packet,
            "kernel_us_per_packet": self.kernel_us_per_packet,
            "ratio": self.ratio,
            "delay_p50_us": self.delay_us("p50_us"),
            "delay_p99_us": self.delay_us("p99_us"),
            "complaints": self.generator.complaints(),
        }
        return {"benchmark": "media", "machine": machine(), "summary": summary} | asdict(self)


def machine() -> dict[str, Any]:
    """What it ran on."""
    info = Path("/proc/cpuinfo")
    model = next((line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


def media_table(report: MediaReport) -> str:
    """The report as a table for the terminal."""
    shape, rounds, generator = report.shape, report.rounds, report.generator
    seconds = sum(r.server.seconds for r in rounds)
    packets = sum(r.server.packets for r in rounds)
    cpu = sum(r.server.cpu_ns for r in rounds) / 1e9 / seconds
    user, system = (sum(getattr(r.server, name) for r in rounds) / seconds for name in ("user_seconds", "system_seconds"))
    delays = [r.server.delays for r in rounds]
    ratios = [r.ratio for r in rounds]
    p50, p99 = report.delay_us("p50_us"), report.delay_us("p99_us")
    kernel = report.kernel_us_per_packet
    batch = sum(r.kernel.packets for r in rounds) / sum(r.kernel.batches for r in rounds)
    asked, lost = shape.packets_out_per_second, report.expected - report.received
    rows = {
        "load": f"{shape.rooms} rooms of {shape.size}, {shape.speakers} speak, {shape.payload_bytes}-byte payloads"
        f" at {shape.packets_per_second:g}/s, others: {shape.others}",
        "encryption": report.profile,
        "packets out": f"{packets / seconds:,.0f}/s of {asked:,.0f}/s asked for",
        "loss": f"{report.loss:.4%} ({lost} of {report.expected}; {report.late} late)",
        "delay p50 / p99 / max": f"{p50:.0f} / {p99:.0f} / {max(d.max_us for d in delays):.0f} µs",
        "delay samples": f"{sum(d.samples for d in delays)}, {report.unreadable} unreadable",
        "server CPU": f"{cpu:.1%} of a core (user {user:.1%}, system {system:.1%}), {report.resident_kib / 1024:.0f} MiB",
        "server CPU a packet": f"{report.us_per_packet:.2f} µs",
        "kernel's share a packet": f"{kernel:.2f} µs (batches of {batch:.0f} x {report.datagram_bytes} bytes)",
        "ratio": f"{report.ratio:.2f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})",
        "event loop": f"at most {max(r.server.loop_lag_ms for r in rounds):.1f} ms late",
        "memory a participant": "too few to tell" if report.kib_a_participant is None else f"{report.kib_a_participant:.0f} KiB",
        "other processes": f"{generator.others_cpu_share:.1%} of a core",
        "generator CPU": f"{generator.cpu_share:.1%} of a core; packets sent {generator.lateness.p99_us:.0f} µs late at p99",
    }
    width = max(len(label) for label in rows)
    lines = [f"{label:<{width}}  {value}" for label, value in rows.items()]
    lines += [f"DOUBTFUL, THE SERVER MAY NOT BE THE LIMIT: {complaint}" for complaint in generator.complaints()]
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
