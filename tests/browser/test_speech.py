"""The recording is what the other tests take it for."""

from __future__ import annotations

from tests.browser.speech import SpeechFile, loudness_dbfs

WINDOW_MS = 20


def test_speech_and_silence_are_where_they_should_be(speech: SpeechFile) -> None:
    levels = loudness_dbfs(speech.path, WINDOW_MS)
    assert len(levels) * WINDOW_MS == round(speech.seconds * 1000)

    def windows(start: float, end: float) -> list[float]:
        return levels[round(start * 1000 / WINDOW_MS) : round(end * 1000 / WINDOW_MS)]

    assert set(windows(0, speech.lead_seconds)) == {float("-inf")}
    for number in range(speech.utterances):
        start = speech.lead_seconds + number * (speech.speech_seconds + speech.pause_seconds)
        end = start + speech.speech_seconds
        spoken = windows(start, end)
        assert min(spoken[0], spoken[-1]) > -50, "an utterance has to begin and end aloud"
        assert _longest_below(spoken, -50) * WINDOW_MS <= 100, "no pause inside that could count as one"
        assert set(windows(end, end + speech.pause_seconds)) == {float("-inf")}
    assert speech.spoken_ms == 12_000


def _longest_below(levels: list[float], threshold: float) -> int:
    longest = current = 0
    for level in levels:
        current = current + 1 if level < threshold else 0
        longest = max(longest, current)
    return longest
