"""What people read: sentences by key, in German and English, and the choice between them.

Errors bring their key (`VoiceError.message_key`) and their details, which a sentence may name in braces. The stable texts that
programs act on are elsewhere: in `server.errors`, and in no language.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

__all__ = ["SENTENCES", "Language", "negotiate", "sentence"]


class Language(StrEnum):
    """The languages that every sentence has, by their tag (RFC 5646)."""

    GERMAN = "de"
    ENGLISH = "en"


SENTENCES: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType(
    {
        Language.GERMAN: MappingProxyType(
            {
                "action_done": "Maßnahme ausgeführt und protokolliert",
                "action_logged": "Maßnahme protokolliert",
                "already_in_room": "Diese Person ist schon in diesem Raum.",
                "bad_message": "Die Nachricht ist nicht verständlich.",
                "banned": "Der Zutritt ist gesperrt.",
                "draining": "Der Server wird gerade neu gestartet. Bitte gleich noch einmal versuchen.",
                "forbidden": "Dazu fehlt die Berechtigung.",
                "guest_created": "Gastzugang erfolgreich erstellt",
                "internal_error": "Auf dem Server ist ein Fehler aufgetreten.",
                "invalid_request": "Die Anfrage ist ungültig.",
                "kicked": "Du wurdest aus diesem Raum entfernt und kannst noch nicht zurückkommen.",
                "method_not_allowed": "Diese Methode gibt es hier nicht.",
                "missing_fields": "Es fehlen Angaben.",
                "missing_session_id": "Die Angabe der Session fehlt.",
                "not_found": "Diese Adresse gibt es nicht.",
                "payload_too_large": "Die Anfrage ist zu groß.",
                "rate_limited": "Zu viele Anfragen. Bitte einen Moment warten.",
                "report_received": "Danke, die Meldung ist angekommen.",
                "room_full": "Der Raum ist voll: {current_participant_count} von {max_participants} Plätzen sind belegt.",
                "server_at_capacity": "Der Server ist ausgelastet. Bitte später noch einmal versuchen.",
                "session_already_ended": "Diese Session ist schon beendet.",
                "session_created": "Backend-Session erfolgreich erstellt",
                "session_ended": "Session erfolgreich beendet",
                "session_not_found": "Diese Session gibt es nicht.",
                "target_not_found": "Diese Person ist nicht erreichbar.",
                "tracking_ended": "Session-Ende erfasst",
                "tracking_known": "Diese Session ist schon erfasst",
                "tracking_noted": "Meldung neben der eigenen Messung gespeichert",
                "tracking_started": "Session-Start erfasst",
                "unauthorized": "Die Anmeldung fehlt oder ist nicht mehr gültig.",
                "user_not_found": "Diese Person war noch nie hier.",
                "wrong_state": "Das geht in diesem Moment nicht.",
            }
        ),
        Language.ENGLISH: MappingProxyType(
            {
                "action_done": "Action carried out and logged",
                "action_logged": "Action logged",
                "already_in_room": "This person is already in this room.",
                "bad_message": "The message cannot be understood.",
                "banned": "Access is blocked.",
                "draining": "The server is restarting. Please try again in a moment.",
                "forbidden": "You are not allowed to do this.",
                "guest_created": "Guest access created",
                "internal_error": "Something went wrong on the server.",
                "invalid_request": "The request is not valid.",
                "kicked": "You were removed from this room and cannot come back yet.",
                "method_not_allowed": "This method does not exist here.",
                "missing_fields": "Some required information is missing.",
                "missing_session_id": "The session is not named.",
                "not_found": "This address does not exist.",
                "payload_too_large": "The request is too large.",
                "rate_limited": "Too many requests. Please wait a moment.",
                "report_received": "Thank you, the report was received.",
                "room_full": "The room is full: {current_participant_count} of {max_participants} places are taken.",
                "server_at_capacity": "The server is at its limit. Please try again later.",
                "session_already_ended": "This session has already ended.",
                "session_created": "Backend session created",
                "session_ended": "Session ended",
                "session_not_found": "This session does not exist.",
                "target_not_found": "This person cannot be reached.",
                "tracking_ended": "End of session recorded",
                "tracking_known": "This session is known already",
                "tracking_noted": "Report kept beside our own measurement",
                "tracking_started": "Start of session recorded",
                "unauthorized": "You are not signed in, or not any more.",
                "user_not_found": "This person was never here.",
                "wrong_state": "This is not possible right now.",
            }
        ),
    }
)

_TAGS: Final[frozenset[str]] = frozenset(Language)
_MAX_RANGES: Final = 32
"""More language ranges than any browser sends; what stands after them is left aside."""


def sentence(key: str, language: Language, details: Mapping[str, Any] | None = None) -> str:
    """The sentence for `key`, with `details` where it names them. Raises `KeyError` for a key or a detail that is not there."""
    return SENTENCES[language][key].format_map(details or {})


def negotiate(accept_language: str | None, default: Language) -> Language:
    """The language for an `Accept-Language` header (RFC 9110, section 12.5.4).

    The highest weight wins, of equals the first; `*` stands for the default. The default also where there is no header, or one
    that names none of ours.
    """
    best = default
    best_weight = 0.0
    for part in (accept_language or "").split(",")[:_MAX_RANGES]:
        tag, _, parameters = part.partition(";")
        weight = _weight(parameters)
        primary = tag.strip().lower().partition("-")[0]
        if weight <= best_weight:
            continue
        if primary == "*":
            best, best_weight = default, weight
        elif primary in _TAGS:
            best, best_weight = Language(primary), weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0.0 <= weight <= 1.0 else 0.0
