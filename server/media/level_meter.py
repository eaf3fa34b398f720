"""Levels found by decoding, in a thread of their own: of microphones that tell none, or none that are true, and of samples of all
others, to see whether theirs are.

The thread has one job at a time of each microphone, so decoders need no lock. Samples have a budget of CPU time, and come
less often where there are many microphones; a microphone that must be measured is measured whatever it costs, until
`MAX_WAITING` packets of it wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from .level_audit import RUN_PACKETS, Contradiction, LevelSample, Suspicion, TokenBucket
from .opus_level import LevelDecoder
from .producer import Producer

__all__ = ["LevelListener", "LevelMeter"]

BUDGET_SHARE: Final = 0.01
"""Of one core, for samples."""
BUDGET_BURST_SECONDS: Final = 0.03
TICK_SECONDS: Final = 0.1
SAMPLE_EVERY_SECONDS: Final = 1.2
"""Of each microphone, where the budget allows. Three runs that are false prove it: 1.2 s until the first begins at the latest,
and then one after the other."""
RUN_TIMEOUT_SECONDS: Final = 2.0
"""A run that is not full by then is given up: nothing is sent, or too much is lost."""
MAX_WAITING: Final = 100
"""Packets of one microphone that wait to be decoded, 2 s; the oldest go first. The thread cannot keep up then."""

Reading = tuple[int, int, bytes]
"""A packet to be measured: timestamp and duration in ticks, payload."""


class LevelListener(Protocol):
    """Who is told."""

    def level_measured(self, producer: Producer, timestamp: int, duration: int, level: int) -> None:
        """What a packet without a level of its own was found to have, in -dBov; ticks of the producer's clock."""

    def level_contradicted(self, producer: Producer, contradiction: Contradiction) -> None:
        """Its levels are false. They are not read any more."""


class _Run:
    """Packets on their way to be a sample. Holes are no reason to begin anew: a client could make some in every run."""

    __slots__ = ("deadline", "packets")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.packets: list[tuple[int, bytes]] = []

    @property
    def is_full(self) -> bool:
        return len(self.packets) >= RUN_PACKETS

    def packet(self, level: int, payload: bytes) -> None:
        if len(self.packets) < RUN_PACKETS:
            self.packets.append((level, payload))


class _Microphone:
    """What is kept of a producer here."""

    __slots__ = ("busy", "decoder", "due", "run", "suspicion", "waiting")

    def __init__(self, threshold: int, due: float) -> None:
        self.suspicion = Suspicion(threshold)
        self.due = due
        self.run: _Run | None = None
        self.decoder: LevelDecoder | None = None
        self.waiting: list[Reading] = []
        self.busy = False


class LevelMeter:
    """Producers come with `add` and go with `remove`; `close` waits for the thread."""

    def __init__(self, listener: LevelListener, threshold: int) -> None:
        self._listener = listener
        self._threshold = threshold
        self._microphones: dict[Producer, _Microphone] = {}
        self._bucket: TokenBucket | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._jobs: set[asyncio.Future[tuple[list[int], float]]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0
        """Packets that could not be measured in time."""

    def add(self, producer: Producer) -> None:
        """A microphone whose levels are to be looked at. Does nothing the second time."""
        if producer in self._microphones:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._bucket is None:
            self._bucket = TokenBucket(BUDGET_SHARE, BUDGET_BURST_SECONDS, now)
        self._microphones[producer] = _Microphone(self._threshold, now)
        if self._timer is None:
            self._timer = loop.call_later(TICK_SECONDS, self._tick)

    def remove(self, producer: Producer) -> None:
        """Its session has ended."""
        producer.tap = None
        self._microphones.pop(producer, None)

    async def close(self) -> None:
        """Stop the clock and the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._microphones.clear()
        while self._jobs:
            await asyncio.wait(set(self._jobs))
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    # streams that are measured whole

    def measure(self, producer: Producer, timestamp: int, duration: int, payload: bytes) -> None:
        """A packet whose level is not known. The listener hears of it a moment later."""
        microphone = self._microphones.get(producer)
        if microphone is None:
            return
        microphone.waiting.append((timestamp, duration, payload))
        if len(microphone.waiting) > MAX_WAITING:
            del microphone.waiting[0]
            self.dropped += 1
        self._measure_waiting(producer, microphone)

    def _measure_waiting(self, producer: Producer, microphone: _Microphone) -> None:
        if microphone.busy or not microphone.waiting:
            return
        readings, microphone.waiting = microphone.waiting, []
        microphone.busy = True
        if microphone.decoder is None:
            microphone.decoder = LevelDecoder()
        decoder = microphone.decoder

        def done(levels: Sequence[int], _cpu_seconds: float) -> None:
            microphone.busy = False
            if self._microphones.get(producer) is not microphone:
                return
            if not producer.muted:
                for (timestamp, duration, _payload), level in zip(readings, levels, strict=True):
                    self._listener.level_measured(producer, timestamp, duration, level)
            self._measure_waiting(producer, microphone)

        self._decode(decoder, [payload for *_, payload in readings], done)

    # samples of the others

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        assert self._bucket is not None
        self._collect(now)
        tokens = self._bucket.available(now)
        if tokens > 0:
            waiting = [(m.due, n, p, m) for n, (p, m) in enumerate(self._microphones.items()) if m.run is None and m.due <= now]
            # What one run costs at the most is a millisecond.
            for _, _, producer, microphone in sorted(waiting)[: max(1, int(tokens * 1000))]:
                if producer.audio_level_id is not None and not producer.muted:
                    producer.tap = microphone.run = _Run(now + RUN_TIMEOUT_SECONDS)
        self._timer = loop.call_later(TICK_SECONDS, self._tick) if self._microphones else None

    def _collect(self, now: float) -> None:
        for producer, microphone in self._microphones.items():
            run = microphone.run
            if run is None or microphone.busy:
                continue
            if run.is_full:
                producer.tap = None
                self._judge(producer, microphone, run)
            elif now >= run.deadline:
                producer.tap = microphone.run = None
                microphone.due = now + SAMPLE_EVERY_SECONDS

    def _judge(self, producer: Producer, microphone: _Microphone, run: _Run) -> None:
        microphone.busy = True

        def done(levels: Sequence[int], cpu_seconds: float) -> None:
            microphone.busy = False
            microphone.run = None
            if self._bucket is not None:
                self._bucket.spend(cpu_seconds)
            if self._microphones.get(producer) is not microphone:
                return
            samples = [LevelSample(claimed, measured) for (claimed, _), measured in zip(run.packets, levels, strict=True)]
            contradiction = microphone.suspicion.add(samples)
            now = asyncio.get_running_loop().time()
            microphone.due = now if microphone.suspicion.is_suspect else now + SAMPLE_EVERY_SECONDS
            if contradiction is not None:
                producer.distrusted, producer.audio_level_id = True, None
                self._listener.level_contradicted(producer, contradiction)
            self._measure_waiting(producer, microphone)

        self._decode(LevelDecoder(), [payload for _, payload in run.packets], done)

    # the thread

    def _decode(self, decoder: LevelDecoder, payloads: list[bytes], done: Callable[[list[int], float], None]) -> None:
        loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "opus-levels")
        job = loop.run_in_executor(self._executor, _levels, decoder, payloads)
        self._jobs.add(job)

        def finish(job: asyncio.Future[tuple[list[int], float]]) -> None:
            self._jobs.discard(job)
            done(*job.result())

        job.add_done_callback(finish)


def _levels(decoder: LevelDecoder, payloads: Sequence[bytes]) -> tuple[list[int], float]:
    """In the thread: the levels, and the CPU time that they took in seconds."""
    began = time.thread_time()
    return [decoder.level(payload) for payload in payloads], time.thread_time() - began
