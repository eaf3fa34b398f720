"""How a route is described: what it takes, what it answers, who may call it. The OpenAPI document is made from that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from aiohttp.typedefs import Handler
from pydantic import BaseModel

from server.errors import VoiceError
from server.protocol.admin import ListQuery
from server.protocol.rest import Request

__all__ = ["Access", "ApiRoute", "Document"]


class Access(Enum):
    """Who may call. The value is told to people."""

    OPEN = "Open to everybody."
    TOKEN = "An API token, a user token, or a session token within its room."  # noqa: S105 - a sentence
    PERSON = "An API token, or the user token of whom it is about."
    LEAVER = "An API token, the user's own token, or the session's own, in the header or as `session_token` in the body."
    MODERATOR = "An API token, or the user token of a moderator or admin."
    OPERATOR = "An API token, or the user token of an admin."


class Document(Enum):
    """What a route answers with that is no answer of the API."""

    JSON = "application/json"
    PAGE = "text/html"


AnswerType: TypeAlias = type[BaseModel] | Document


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """A route of the REST API.

    `body` and `query` are the types that the handler decodes with, None where it takes none. `errors` are those of its own,
    beside what every route may answer. `degraded`: the same answer also comes with 503.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    answer: AnswerType
    body: type[Request] | None = None
    query: type[ListQuery] | None = None
    errors: tuple[type[VoiceError], ...] = ()
    degraded: bool = False
