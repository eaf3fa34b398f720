"""Sentences and the choice of their language."""

from __future__ import annotations

import string

import pytest

from server import errors
from server.i18n import SENTENCES, Language, negotiate, sentence


def error_classes(base: type[errors.VoiceError] = errors.VoiceError) -> list[type[errors.VoiceError]]:
    return [base, *(found for child in base.__subclasses__() for found in error_classes(child))]


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_language_has_every_key_and_names_the_same_details() -> None:
    german, english = SENTENCES[Language.GERMAN], SENTENCES[Language.ENGLISH]
    assert set(SENTENCES) == set(Language)
    assert set(german) == set(english)
    assert {key: names_in(text) for key, text in german.items()} == {key: names_in(text) for key, text in english.items()}
    assert all(text.strip() == text != "" for texts in SENTENCES.values() for text in texts.values())


def test_every_error_has_a_sentence() -> None:
    assert {error.message_key for error in error_classes()} <= set(SENTENCES[Language.GERMAN])


def test_a_sentence_names_its_details() -> None:
    details = {"current_participant_count": 10, "max_participants": 10, "more": "than it needs"}
    assert sentence("room_full", Language.ENGLISH, details) == "The room is full: 10 of 10 places are taken."
    assert sentence("session_ended", Language.GERMAN) == "Session erfolgreich beendet"
    with pytest.raises(KeyError):
        sentence("room_full", Language.ENGLISH)
    with pytest.raises(KeyError):
        sentence("no such key", Language.ENGLISH)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "de"),
        ("", "de"),
        ("*", "de"),
        ("fr, it;q=0.5", "de"),
        ("en", "en"),
        ("EN-us", "en"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("de;q=0.5, en;q=0.7", "en"),
        ("fr, en;q=0.3", "en"),
        ("en;q=0.5, de;q=0.5", "en"),
        ("en;q=0", "de"),
        ("en;q=nan", "de"),
        ("en;q=2", "de"),
        ("en;q=x", "de"),
        ("en;level=1", "de"),
        (";;;,,,", "de"),
        ("*;q=0.9, en;q=0.5", "de"),
        ("x," * 1000 + "en", "de"),
    ],
)
def test_the_language_is_chosen_by_weight(header: str | None, language: str) -> None:
    assert negotiate(header, Language.GERMAN) is Language(language)


def test_the_default_is_a_setting() -> None:
    assert negotiate(None, Language.ENGLISH) is Language.ENGLISH
    assert negotiate("fr", Language.ENGLISH) is Language.ENGLISH
    assert negotiate("de", Language.ENGLISH) is Language.GERMAN
