"""People and events as the wire shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic.alias_generators import to_camel

from server.errors import VoiceError
from server.i18n import Language, sentence
from server.protocol import format_time
from server.protocol.rest import ParticipantView
from server.protocol.server_messages import ErrorMessage, PersonJoined
from server.voice.participant import Participant

__all__ = ["camel_details", "error_message", "participant_view", "participant_views", "person_joined", "wire_details"]


def participant_view(participant: Participant) -> ParticipantView:
    """Someone in a room, as others see them."""
    return ParticipantView(
        session_id=participant.session_id,
        user_id=participant.user_id,
        username=participant.username,
        avatar_emoji=participant.avatar_emoji,
        is_muted=participant.is_muted,
        is_speaking=participant.is_speaking,
        role=participant.role.value,
        hand_raised=participant.hand_raised,
    )


def participant_views(participants: Iterable[Participant]) -> tuple[ParticipantView, ...]:
    """A list of people, in its order."""
    return tuple(participant_view(participant) for participant in participants)


def person_joined(participant: Participant) -> PersonJoined:
    """`voice_join`, as the others get it."""
    return PersonJoined(**participant_view(participant).model_dump(by_alias=False))


def wire_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """The details of an error as JSON values: times as the wire writes them."""
    return {name: format_time(value) if isinstance(value, datetime) else value for name, value in details.items()}


def camel_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """`wire_details` with the names that the WebSocket uses."""
    return {to_camel(name): value for name, value in wire_details(details).items()}


def error_message(error: VoiceError, language: Language, *, session_id: str | None, request_id: str | None) -> ErrorMessage:
    """`voice_error`."""
    return ErrorMessage(
        session_id=session_id,
        request_id=request_id,
        code=error.status,
        error=error.error,
        message=sentence(error.message_key, language, error.details),
        retry_after=error.retry_after,
        details=camel_details(error.details),
    )
