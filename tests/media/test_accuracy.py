"""Speaking time against a script, over bad networks, in virtual time: a minute of a microphone through the real packet path."""

from __future__ import annotations

import math
import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pylibsrtp import Policy, Session

from bench.speech import SILENCE_LEVEL, Utterance, frames, spoken_ms
from server.media.packet_path import PacketPath
from server.media.producer import Producer
from server.media.speaking import SpeakingRules
from server.media.udp import RX_STRIDE, UdpSocket, open_udp_socket

TOTAL_MS = 60_000
LARGEST_ERROR = 0.01
SPEECH = b"\xf8" + bytes(40)
DTX = b"\xf8"

# As people talk: sentences of one to four seconds, pauses of half a second to three.
SCRIPT = [
    Utterance(start, length)
    for start, length in (
        (1000, 3200), (5000, 1400), (7000, 3800), (12_000, 2200), (15_500, 900), (17_400, 4000), (22_000, 2600), (26_400, 3600),
        (31_000, 1200), (33_000, 3400), (37_400, 4200), (42_600, 1000), (44_400, 3000), (48_400, 3800), (53_000, 2400),
        (56_200, 1800),
    )
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Network:
    """`loss` is a share of packets; `late_ms` is how much later every third one comes. With `reconnects` the client begins anew
    after a gap of 300 ms, in the middle of a sentence."""

    loss: float = 0.0
    late_ms: int = 0
    reconnects: bool = False


class Minute:
    """Feeds a producer through the packet path and the clock that the engine has."""

    def __init__(self, udp: UdpSocket) -> None:
        key = os.urandom(28)
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        outbound = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        inbound = Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        outbound.allow_repeat_tx = True
        inbound.window_size = 1024
        self.sender, self.receiver = Session(outbound), Session(inbound)
        self.udp = udp
        self.path = PacketPath(udp, self)
        self.producer = Producer("room", "a", SpeakingRules(), 0.0)
        self.producer.audio_level_id = 1
        self.began = 0
        self.ended = 0

    def speaking_started(self, producer: Producer) -> None:
        self.began += 1

    def speaking_stopped(self, producer: Producer) -> None:
        self.ended += 1

    def level_missing(self, producer: Producer, timestamp: int, duration: int, payload: bytes) -> None:
        raise AssertionError("every packet has a level")

    def play(self, levels: Callable[[int, int], int], *, dtx: bool, network: Network, seed: int) -> float:
        """A minute; `levels` makes a packet's level from the script's and its time in ms. Returns the speaking time in ms."""
        rng = random.Random(seed)
        arrivals = []
        ssrc, sequence, base = rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(32)
        reconnected = False
        for frame in frames(SCRIPT, TOTAL_MS, dtx=dtx):
            if network.reconnects and 28_000 <= frame.offset_ms < 28_300:
                continue
            if network.reconnects and frame.offset_ms >= 28_300 and not reconnected:
                ssrc, sequence, base = rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(32)
                reconnected = True
            header = struct.pack(
                "!BBHII", 0x90, 111, sequence & 0xFFFF, (base + frame.offset_ms * 48) & 0xFFFFFFFF, ssrc
            )  # fmt: skip
            level = levels(frame.level, frame.offset_ms)
            packet = header + struct.pack("!HHBBxx", 0xBEDE, 1, 0x10, level) + (DTX if frame.dtx else SPEECH)
            data = self.sender.protect(packet)
            sequence += 1
            if rng.random() >= network.loss:
                late = network.late_ms if sequence % 3 == 0 else 0
                arrivals.append((frame.offset_ms + 20 + late + rng.uniform(0, 2), frame.offset_ms >= 28_300, data))
        arrivals.sort(key=lambda arrival: arrival[0])
        return self._receive(arrivals, reconnects=network.reconnects)

    def _receive(self, arrivals: list[tuple[float, bool, bytes]], *, reconnects: bool) -> float:
        tick = 20.0
        restarted = not reconnects
        for at, is_second, data in [*arrivals, (TOTAL_MS + 1000.0, True, b"")]:
            while tick <= at:
                if self.producer.detector.tick(self.producer.timestamp_at(tick / 1000)) is not None:
                    self.ended += 1
                tick += 20.0
            if is_second and not restarted:
                self.producer.restart()
                restarted = True
            if data:
                self.udp.rx[: len(data)] = data
                assert len(data) <= RX_STRIDE
                assert self.path.receive_rtp(0, len(data), self.receiver._srtp[0], self.producer, at / 1000)
        return self.producer.detector.total_ticks / 48


@pytest.fixture
def minute() -> Iterator[Minute]:
    udp = open_udp_socket("127.0.0.1", 0)
    yield Minute(udp)
    udp.close()


def clean(level: int, at_ms: int) -> int:
    return level


def in_noise(level: int, rng: random.Random) -> int:
    """A room at -38 dBFS and a browser that suppresses nothing: 33 to 40 in pauses, the middle at 38; speech around 23."""
    noise = min(40.0, max(33.0, rng.gauss(37.6, 1.3)))
    spoken = 127.0 if level == SILENCE_LEVEL else min(60.0, max(10.0, rng.gauss(23, 6)))
    return round(-10 * math.log10(10 ** (-noise / 10) + 10 ** (-spoken / 10)))


@pytest.mark.parametrize("dtx", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.10])
@pytest.mark.parametrize("late_ms", [0, 20, 30])
@pytest.mark.parametrize("reconnects", [False, True])
def test_a_minute_is_measured_to_one_percent(minute: Minute, dtx: bool, loss: float, late_ms: int, reconnects: bool) -> None:
    measured = minute.play(clean, dtx=dtx, network=Network(loss, late_ms, reconnects), seed=round(loss * 100) + late_ms)
    assert measured == pytest.approx(spoken_ms(SCRIPT), rel=LARGEST_ERROR)
    assert minute.began == minute.ended == len(SCRIPT)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("network", [Network(), Network(0.05), Network(0.10, 20), Network(reconnects=True)])
def test_noise_that_a_browser_leaves_in_is_not_counted(minute: Minute, seed: int, network: Network) -> None:
    rng = random.Random(seed)
    measured = minute.play(lambda level, _: in_noise(level, rng), dtx=False, network=network, seed=seed)
    assert measured == pytest.approx(spoken_ms(SCRIPT), rel=LARGEST_ERROR)


def test_noise_alone_is_nobody_speaking(minute: Minute) -> None:
    rng = random.Random(2)
    measured = minute.play(lambda _level, _: in_noise(SILENCE_LEVEL, rng), dtx=False, network=Network(), seed=1)
    assert measured <= 100
