"""A recording of known speech: spoken by espeak-ng, cut by sox to the sample, with digital silence between."""

from __future__ import annotations

import subprocess
import wave
from array import array
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Final

__all__ = ["SpeechFile", "loudness_dbfs", "make_speech"]

SAMPLE_RATE: Final = 48_000
SENTENCE: Final = (
    "The quick brown fox jumps over the lazy dog, and nobody in the house has ever seen anything like it before or since "
    "that morning in the valley when all of us were walking along"
)
OFFSETS_SECONDS: Final = (0.0, 3.0)
"""Where the utterances are taken from in the sentence, in turn."""


@dataclass(frozen=True, slots=True)
class SpeechFile:
    """16-bit mono at 48 kHz: `lead_seconds` of silence, then `utterances` times speech and silence after it."""

    path: Path
    lead_seconds: float
    utterances: int
    speech_seconds: float
    pause_seconds: float

    @property
    def seconds(self) -> float:
        """How long the whole file plays."""
        return self.lead_seconds + self.utterances * (self.speech_seconds + self.pause_seconds)

    @property
    def spoken_ms(self) -> int:
        """The truth that a measurement of speaking time is held to."""
        return round(self.utterances * self.speech_seconds * 1000)


def make_speech(
    folder: Path,
    *,
    utterances: int = 4,
    speech_seconds: float = 3.0,
    pause_seconds: float = 2.0,
    lead_seconds: float = 2.0,
) -> SpeechFile:
    """Make the recording. Pauses within the sentence are taken out, so that an utterance is speech from end to end.

    `lead_seconds` is for the time between the opening of the microphone and the connection. Needs espeak-ng and sox; raises
    `subprocess.CalledProcessError` with their words where they fail.
    """
    spoken, tight = folder / "spoken.wav", folder / "tight.wav"
    _run("espeak-ng", "-v", "en", "-s", "180", "-w", str(spoken), SENTENCE)
    # -D: no dither. Dither would make noise of what has to be digital silence.
    strip = ["silence", "1", "0.005", "0.5%", "-1", "0.02", "0.5%"]
    _run("sox", "-D", str(spoken), "-r", str(SAMPLE_RATE), "-c", "1", "-b", "16", str(tight), *strip, "norm", "-6")
    parts = [_silence(folder, "lead.wav", lead_seconds)]
    for number in range(utterances):
        part = folder / f"part{number}.wav"
        start = OFFSETS_SECONDS[number % len(OFFSETS_SECONDS)]
        _run("sox", "-D", str(tight), str(part), "trim", f"{start}", f"{speech_seconds}", "pad", "0", f"{pause_seconds}")
        parts.append(part)
    path = folder / "speech.wav"
    _run("sox", "-D", *map(str, parts), str(path))
    return SpeechFile(path, lead_seconds, utterances, speech_seconds, pause_seconds)


def loudness_dbfs(path: Path, window_ms: int = 20) -> list[float]:
    """The level of each window of a 16-bit mono file, in dB below full scale; `-inf` where every sample is zero."""
    with wave.open(str(path)) as file:
        step = file.getframerate() * window_ms // 1000
        samples = array("h", file.readframes(file.getnframes()))
    levels = []
    for start in range(0, len(samples) - step + 1, step):
        mean_square = sum(sample * sample for sample in samples[start : start + step]) / step / 32768**2
        levels.append(10 * log10(mean_square) if mean_square else float("-inf"))
    return levels


def _silence(folder: Path, name: str, seconds: float) -> Path:
    path = folder / name
    _run("sox", "-D", "-n", "-r", str(SAMPLE_RATE), "-c", "1", "-b", "16", str(path), "trim", "0", f"{seconds}")
    return path


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
