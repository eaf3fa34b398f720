"""`docs/protocol.md` says what the code does: no route, field, type, error or close code is missing there, or made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from server import errors
from server.protocol import MAX_FRAME_BYTES, CloseCode, admin, rest
from server.protocol import fields as limits
from server.protocol.client_messages import ClientMessage, RelayedMessage
from server.protocol.server_messages import SERVER_MESSAGES, ErrorMessage, ServerMessage
from server.signalling import outbox
from server.voice.participant import EndReason
from server.web.contract import Access, Document
from server.web.deps import SocketTimings
from server.web.routes import API_ROUTES, endpoints

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")

ROUTES = {f"{route.method} {route.path}": route for route in API_ROUTES}
ANSWERS = {
    name: route.answer for name, route in ROUTES.items() if not isinstance(route.answer, Document) and name != "GET /health"
}
REQUESTS = {name: route.body for name, route in ROUTES.items() if route.body is not None}
QUERIES = {name: route.query for name, route in ROUTES.items() if route.query is not None}


def sections() -> dict[str, str]:
    """The text below each heading of the third level, up to the next heading."""
    parts = re.split(r"^#{2,3} (.+)$", DOCUMENT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table(first_column: str) -> list[list[str]]:
    """The cells of the rows of the one table whose first column is called so."""
    lines = DOCUMENT.splitlines()
    [start] = [number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([A-Za-z_]+)`", cell))


def aliases(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def concrete(base: type[Any]) -> list[type[Any]]:
    return [base, *(found for child in base.__subclasses__() for found in concrete(child))]


def test_every_route_has_its_section() -> None:
    documented = [heading for heading in sections() if re.match(r"(GET|POST) /", heading)]
    assert sorted(documented) == sorted(endpoints())


@pytest.mark.parametrize("route", ANSWERS)
def test_the_example_of_an_answer_has_exactly_its_fields(route: str) -> None:
    model = ANSWERS[route]
    [example] = re.findall(r"^```json\n(.*?)^```$", sections()[route], flags=re.MULTILINE | re.DOTALL)
    values = json.loads(example)
    assert set(values) == set(model.model_fields)
    again = json.loads(model.model_validate(by_name(values)).model_dump_json(by_alias=True))
    assert again == values


def by_name(values: dict[str, Any]) -> dict[str, Any]:
    """The models of answers are made by name and written by alias; an example is as it is written."""
    people = {alias: name for name, field in rest.ParticipantView.model_fields.items() if (alias := field.alias)}
    if "participants" not in values:
        return values
    renamed = [{people[alias]: value for alias, value in person.items()} for person in values["participants"]]
    return {**values, "participants": renamed}


@pytest.mark.parametrize("route", REQUESTS)
def test_every_field_of_a_body_is_named(route: str) -> None:
    assert set(REQUESTS[route].model_fields) <= names(sections()[route])


@pytest.mark.parametrize("route", QUERIES)
def test_every_parameter_of_a_list_is_named(route: str) -> None:
    assert {field.alias or name for name, field in QUERIES[route].model_fields.items()} <= names(sections()[route])


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_says_who_may_call(route: str) -> None:
    who = {
        Access.OPEN: "pen to everybody",
        Access.TOKEN: "token",
        Access.PERSON: "API or user token",
        Access.LEAVER: "API token, the user's own token, or the session's own",
        Access.MODERATOR: "API token, or the user token of a moderator or admin",
        Access.OPERATOR: "API token, or that of an admin",
    }[ROUTES[route].access]
    if route != "GET /health":
        assert who in " ".join(sections()[route].split())


def test_errors_are_those_of_the_code() -> None:
    documented = {(int(status), error.strip("`")) for status, error, *_ in table("status")}
    assert documented == {(error.status, error.error) for error in concrete(errors.VoiceError)}


def test_client_messages_are_those_of_the_code() -> None:
    known: dict[str, set[str]] = {}
    for cell, fields, _ in table("client → server"):
        [message] = names(cell)
        known[message] = known.get(message, set()) | names(fields)
    models = [model for model in concrete(ClientMessage) if hasattr(model, "type")]
    assert known == {model.type: aliases(model) - {"requestId"} for model in models}
    assert {model.type for model in concrete(RelayedMessage) if hasattr(model, "type")} == {
        message for message, fields in known.items() if "targetUserId" in fields
    }


def own_fields(model: type[ServerMessage]) -> set[str]:
    fields = aliases(model) - {"requestId"}
    return fields - {"details"} if model is ErrorMessage else fields


def test_server_messages_are_those_of_the_code() -> None:
    known = {cell.strip("`"): names(fields) for cell, fields, _ in table("server → client")}
    # The one broadcast that has its receiver's session id put in front of it.
    expected = {model.type: own_fields(model) | {"sessionId"} for model in SERVER_MESSAGES}
    assert known == expected


def test_close_codes_are_those_of_the_code() -> None:
    assert {int(code) for code, *_ in table("close code")} == {code.value for code in CloseCode}


def test_reasons_are_those_of_the_code() -> None:
    [sentence] = re.findall(r"The `reason` of a `voice_leave` is one of (.*?)\.\n", DOCUMENT, flags=re.DOTALL)
    assert names(sentence) == {reason.value for reason in EndReason}


def test_numbers_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.split())
    timings = SocketTimings()
    for fact in (
        f"at most {MAX_FRAME_BYTES // 1024} KiB",
        f"1 to {limits.MAX_ID_CHARS} characters",
        f"1 to {limits.MAX_NAME_CHARS} as people count them (and at most {limits.MAX_NAME_BYTES} bytes)",
        f"at most {limits.MAX_EMOJI_BYTES} bytes",
        f"`requestId` of at most {limits.MAX_REQUEST_ID_CHARS} characters",
        f"within {timings.first_message:g} s",
        f"nothing for {timings.ping:g} s and drops it after {timings.ping:g} s more",
        f"1 to {admin.MAX_LIMIT}, {admin.DEFAULT_LIMIT} where it is not given",
        f"({outbox.MAX_FRAMES} messages, {outbox.MAX_BYTES // 1024**2} MiB)",
    ):
        assert fact in text
