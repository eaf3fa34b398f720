"""Someone's microphone: one stream in, a clean one out to all who listen.

What arrives may start anywhere, wrap around, jump, come late, or stop and start again with another SSRC. A producer turns it
into one stream whose sequence numbers have no hole that we made and whose timestamps follow the clock, so that each consumer
only has to add constants. The same clock drives the speaking detector.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from .reception import Reception
from .speaking import CLOCK_RATE, SILENT_LEVEL, SpeakingDetector, SpeakingRules

if TYPE_CHECKING:
    from .consumer import Consumer, FanOut

__all__ = ["HeldPacket", "Numbered", "Producer", "Silence", "Tap"]

TOLERANCE_TICKS: Final = 2 * CLOCK_RATE
"""How far a sender's RTP clock may be from the wall clock before we stop following it; bounds what a forged clock can add."""
DRIFT_TICKS_PER_SECOND: Final = CLOCK_RATE * 500 / 1_000_000
"""500 ppm on top: sound cards drift by up to 100 ppm, for as long as a call lasts."""
SSRC_TAKEOVER_SECONDS: Final = 0.2
"""A new SSRC is followed once the old one has been silent for this long; two at once would only tear the stream."""
LOUDNESS_SMOOTHING: Final = 0.4
"""Weight of the newest of five reports a second: a second of speech counts for more than nine tenths."""
SILENCE_HANGOVER_SECONDS: Final = 0.19
"""Digital silence is sent on for this long, so that the decay of a word reaches everybody; Chromium's own DTX waits 180 ms."""
COMFORT_INTERVAL_SECONDS: Final = 0.39
"""In silence one packet so often tells decoders that it goes on: every 400 ms, as Opus DTX itself does (RFC 7587, section
3.1.3); half a packet less, so that one that comes a little early is not passed over."""
HISTORY_PACKETS: Final = 10
"""What is kept of a voice for those who come to hear it late: 200 ms, more than it takes to notice that somebody speaks."""
MAX_SEQUENCE_STEP: Final = 3000
"""One minute of packets; a larger step is a restart, not loss (RFC 3550, appendix A.1: MAX_DROPOUT)."""


Numbered = tuple[int, int, bool, bool]
"""A packet in the producer's own, unbounded numbering: sequence, timestamp, whether one after it was numbered before (it is
late), whether it starts a new run. A plain tuple: one is made for each packet."""


class Silence(enum.Enum):
    """A packet in digital silence. NONE: it is not, or only just. COMFORT: sent without its content. KEPT: sent to nobody."""

    NONE = "none"
    COMFORT = "comfort"
    KEPT = "kept"


class Tap(Protocol):
    """Whoever wants to see the packets of a microphone for a moment."""

    def packet(self, level: int, payload: bytes) -> None:
        """One that was numbered, in the order in which they come; `level` is what it claims, in -dBov."""


# By names of the module: for each packet, looking a member up in its class costs more than all that is done with it.
NOT_SILENT: Final = Silence.NONE
COMFORT: Final = Silence.COMFORT
KEPT: Final = Silence.KEPT

HeldPacket = tuple[int, int, int, bytes]
"""A packet that was sent on: its number, its time, its marker bit, its payload."""


class Producer:
    """One microphone. The packet path walks `fan_out`, one entry for each consumer that is on."""

    __slots__ = (
        "_comfort_due",
        "_created_at",
        "_last_arrival",
        "_raw_sequence",
        "_raw_timestamp",
        "_rebase",
        "_run_start",
        "_sounded_at",
        "_ssrc",
        "_threshold_dbov",
        "_was_silent",
        "attempted_ticks",
        "audio_level_id",
        "detector",
        "distrusted",
        "fan_out",
        "history",
        "last_sequence",
        "last_timestamp",
        "loudness_db",
        "muted",
        "reception",
        "room_id",
        "sent_octets",
        "sent_packets",
        "session_id",
        "spoke_at",
        "tap",
    )

    def __init__(self, room_id: str, session_id: str, rules: SpeakingRules, now: float) -> None:
        self.room_id = room_id
        self.session_id = session_id
        self.detector = SpeakingDetector(rules)
        self.fan_out: dict[Consumer, FanOut] = {}
        self.muted = False
        self.attempted_ticks = 0
        """How much speech was dropped while muted."""
        self._threshold_dbov = rules.threshold_dbov
        self.audio_level_id: int | None = None
        """Header extension id of RFC 6464 in this client's packets; None where it was not negotiated."""
        self.distrusted = False
        """Whether the levels this client writes were found to be false: they are not read any more."""
        self.tap: Tap | None = None
        """Sees every packet with a level while it is there."""
        self.reception = Reception()
        self.sent_packets = 0
        """Those handed on, once each, to as many as listen."""
        self.sent_octets = 0
        self.loudness_db = 0.0
        """How loud this voice has been lately, in dB above digital silence, smoothed. Decides who is heard."""
        self.spoke_at = -1.0
        """Loop time when the last spurt began or ended; -1.0 for never. Decides who gives a slot away."""
        self.history: deque[HeldPacket] = deque(maxlen=HISTORY_PACKETS)
        """The newest packets, for slots that this voice is given while it speaks already."""
        self.last_sequence = -1
        """The highest number given; -1 before the first packet."""
        self._ssrc: int | None = None
        self._rebase = True
        self._run_start = 0
        self._raw_sequence = 0
        self._raw_timestamp = 0
        self.last_timestamp = 0
        """Of the newest packet, in ticks of this producer's clock."""
        self._created_at = now
        self._last_arrival = now
        self._sounded_at = now
        self._comfort_due = now
        self._was_silent = False

    @property
    def holes(self) -> int:
        """How many numbers were given to packets that never came."""
        return self.last_sequence + 1 - self.sent_packets

    def timestamp_at(self, now: float) -> int:
        """This producer's clock at loop time `now`, in ticks: the newest packet's timestamp, carried on by the wall clock."""
        return self.last_timestamp + int((now - self._last_arrival) * CLOCK_RATE)

    def loop_time(self, timestamp: int) -> float:
        """When this producer's clock was, or will be, at `timestamp`: the reverse of `timestamp_at`."""
        return self._last_arrival + (timestamp - self.last_timestamp) / CLOCK_RATE

    def pause(self) -> None:
        """Packets are being dropped on purpose: the next one that is numbered follows without a hole, and nothing from before
        is told to those who come later."""
        self._rebase = True
        self.history.clear()

    def attempt(self, duration: int, level: int | None) -> None:
        """A packet of `duration` ticks came while muted: an attempt to speak where it is loud, and nothing else."""
        if level is not None and level <= self._threshold_dbov:
            self.attempted_ticks += duration

    def restart(self) -> None:
        """The sender has a new connection: whatever SSRC, sequence number and timestamp it begins with follow without a hole."""
        self._ssrc = None
        self._rebase = True

    def report_level(self) -> int:
        """The loudest level since the last report, in -dBov; `loudness_db` follows it."""
        peak = self.detector.take_peak()
        self.loudness_db += LOUDNESS_SMOOTHING * (SILENT_LEVEL - peak - self.loudness_db)
        return peak

    def judge_silence(self, level: int | None, now: float) -> Silence:
        """What to do with a packet of this level (None: it does not say)."""
        if level != SILENT_LEVEL:
            self._sounded_at = self._comfort_due = now
            return NOT_SILENT
        if now - self._sounded_at < SILENCE_HANGOVER_SECONDS:
            return NOT_SILENT
        if now < self._comfort_due:
            return KEPT
        self._comfort_due = now + COMFORT_INTERVAL_SECONDS
        return COMFORT

    def number(self, ssrc: int, sequence: int, timestamp: int, now: float, silence: Silence = NOT_SILENT) -> Numbered | None:
        """Number a packet that passed authentication; the arguments are its header's. None for one that must be dropped.

        One that is KEPT uses up no number, so that receivers see no hole; its time counts all the same.
        """
        if ssrc != self._ssrc:
            if self._ssrc is not None and now - self._last_arrival < SSRC_TAKEOVER_SECONDS:
                return None
            self._ssrc, self._rebase = ssrc, True
        kept = silence is KEPT
        if self._rebase:
            return self._begin_run(sequence, timestamp, now, kept=kept)
        step = (sequence - self._raw_sequence) & 0xFFFF
        ticks = ((timestamp - self._raw_timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if step >= 0x8000:
            late_sequence = self.last_sequence - (0x10000 - step)
            return (late_sequence, self.last_timestamp + ticks, True, False) if late_sequence >= self._run_start else None
        if step == 0:
            return None
        elapsed = now - self._created_at
        ahead = self.last_timestamp + ticks - int(elapsed * CLOCK_RATE)
        if step > MAX_SEQUENCE_STEP or abs(ahead) > TOLERANCE_TICKS + elapsed * DRIFT_TICKS_PER_SECOND:
            return self._begin_run(sequence, timestamp, now, kept=kept)
        self.last_timestamp += ticks
        self._raw_sequence, self._raw_timestamp, self._last_arrival = sequence, timestamp, now
        if silence is not NOT_SILENT or self._was_silent:
            return self._number_silence(silence, step)
        self.last_sequence += step
        return self.last_sequence, self.last_timestamp, False, False

    def _number_silence(self, silence: Silence, step: int) -> Numbered:
        """In silence, where what is lost leaves no hole, and at its end, where it does: a word may begin with it."""
        resumes = silence is NOT_SILENT
        self._was_silent = not resumes
        self._run_start = self.last_sequence + 1
        if resumes:
            self.last_sequence += step
        elif silence is COMFORT:
            self.last_sequence += 1
            self._run_start += 1
        return self.last_sequence, self.last_timestamp, False, resumes

    def _begin_run(self, sequence: int, timestamp: int, now: float, *, kept: bool) -> Numbered:
        elapsed = now - self._created_at
        wall, carried_on = int(elapsed * CLOCK_RATE), self.timestamp_at(now)
        plausible = abs(carried_on - wall) <= TOLERANCE_TICKS + elapsed * DRIFT_TICKS_PER_SECOND
        self.last_timestamp = carried_on if plausible else wall
        self.last_sequence += 0 if kept else 1
        self._was_silent = kept
        self._run_start = self.last_sequence
        self._raw_sequence, self._raw_timestamp, self._last_arrival = sequence, timestamp, now
        self._rebase = False
        return self.last_sequence, self.last_timestamp, False, True
