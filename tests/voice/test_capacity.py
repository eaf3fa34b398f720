"""Who is let in on a machine that carries only so much."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from server.errors import RoomFull, ServerAtCapacity
from server.voice.capacity import CapacityGate
from server.voice.participant import EndReason
from server.voice.service import VoiceService
from tests.voice.fakes import FakeClock, command


@dataclass
class Live:
    peak_packets_per_second: float = 0.0
    lateness: float = 0.0


def admit(
    gate: CapacityGate, name: str, *, others: int = 9, speaking: int = 1, people: int = 0, rooms: int = 0, now: float = 0.0
) -> None:
    gate.admit(name, others=others, speaking=speaking, people=people, rooms=rooms, now=now)


def test_without_a_limit_everybody_fits() -> None:
    gate = CapacityGate(None, Live(1e9, 1.0))
    admit(gate, "a", people=10_000)


def test_a_newcomer_may_add_a_voice_for_each_and_hears_who_speaks() -> None:
    live = Live(10_000)
    gate = CapacityGate(10_500, live)
    admit(gate, "a")  # 9 who hear the newcomer and 1 whom the newcomer hears, 50 packets each: exactly 500
    with pytest.raises(ServerAtCapacity) as refused:
        admit(gate, "b")
    assert refused.value.retry_after == 10


def test_who_just_came_counts_until_it_can_be_seen_in_what_is_sent() -> None:
    gate = CapacityGate(1000, Live())
    admit(gate, "a")
    admit(gate, "b", now=5)
    with pytest.raises(ServerAtCapacity):
        admit(gate, "c", now=9.9)
    admit(gate, "c", now=10)


def test_who_came_and_went_counts_no_more() -> None:
    gate = CapacityGate(500, Live())
    admit(gate, "a")
    gate.withdraw("a")
    gate.withdraw("a")
    admit(gate, "b")


def test_a_silent_room_is_expected_to_have_one_voice() -> None:
    gate = CapacityGate(5000, Live())
    admit(gate, "a", others=0, speaking=0, people=101, rooms=1)
    with pytest.raises(ServerAtCapacity):
        admit(gate, "b", others=1, speaking=0, people=101, rooms=1)


def test_a_late_loop_takes_nobody() -> None:
    live = Live(lateness=0.21)
    gate = CapacityGate(1_000_000, live)
    with pytest.raises(ServerAtCapacity):
        admit(gate, "a")
    live.lateness = 0.2
    admit(gate, "a")


async def test_a_join_beyond_the_limit_leaves_nothing_behind(service: VoiceService, clock: FakeClock) -> None:
    service.use_gate(CapacityGate(100, Live()))
    await service.join(command("a"))
    await service.join(command("b"))
    with pytest.raises(ServerAtCapacity):
        await service.join(command("c"))
    assert [participant.user_id for participant in service.roster("lobby")] == ["a", "b"]
    clock.advance(10)
    await service.join(command("a", room="other"))


async def test_a_refused_join_and_one_that_ended_take_no_capacity(service: VoiceService) -> None:
    service.use_gate(CapacityGate(2250 + 450 + 500, Live()))
    stays = [await service.join(command(f"u{number}")) for number in range(10)]
    for _ in range(20):
        with pytest.raises(RoomFull):
            await service.join(command("late"))
    await service.end(stays[-1].participant.session_id, EndReason.LEFT)
    await service.join(command("late"))
