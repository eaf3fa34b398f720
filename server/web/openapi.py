"""The REST API as an OpenAPI 3.1 document, made from the types that decode requests and encode answers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from server import errors, resources
from server.errors import VoiceError
from server.protocol import MAX_FRAME_BYTES
from server.protocol.admin import ActionQuery
from server.protocol.fields import Identifier
from server.protocol.moderation import ActionLogRequest, ActionRequest
from server.voice.moderation import EVERYWHERE
from server.web.contract import Access, ApiRoute, Document

__all__ = ["document"]

_REFERENCE: Final = "#/components/schemas/{model}"
_ERROR: Final = "Error"
_EVERYWHERE_TOO: Final = frozenset({ActionRequest, ActionLogRequest, ActionQuery})
"""What may name all worlds at once."""
_TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "voice": "Joining, leaving, and who is where.",
        "moderation": "Orders of moderators, what was done elsewhere, and reports.",
        "tracking": "What backends and clients report about stays.",
        "admin": "What operators look at.",
        "health": "The server itself.",
        "documents": "Descriptions for programs and people.",
    }
)
"""By the module that a handler is in; other modules have no sentence of their own."""

_OF_EVERY_ROUTE: Final[tuple[type[VoiceError], ...]] = (errors.InvalidRequest, errors.InternalError)
_OF_EVERY_BODY: Final[tuple[type[VoiceError], ...]] = (errors.PayloadTooLarge,)
_OF_EVERY_TOKEN: Final[tuple[type[VoiceError], ...]] = (errors.Unauthorized, errors.Forbidden, errors.RateLimited)
_ABOUT: Final = """\
Voice rooms. A join makes a session before any WebRTC; the rest of a call goes over the WebSocket, which `/api/asyncapi.json`
describes.

Times are UTC, ISO 8601 with milliseconds and `Z`. `…_seconds` are rounded, `…_ms` beside them are exact. Every answer has
`timestamp` and `success`; an error has `error`, a stable text that programs act on, and `message` for people, in the language
that `Accept-Language` asks for. Fields that are not known are left aside, in requests and by clients.
"""


def document(routes: Sequence[ApiRoute], worlds: Sequence[str]) -> dict[str, Any]:
    """The document. `worlds` are those that there are."""
    schemas = _schemas(routes, worlds)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, worlds)
    modules = sorted({_module(route) for route in routes})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weltenstimme",
            "version": resources.version(),
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": module, **({"description": _TAGS[module]} if module in _TAGS else {})} for module in modules],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "API, user or session token."}},
        },
    }


def _schemas(routes: Sequence[ApiRoute], worlds: Sequence[str]) -> dict[str, Any]:
    """Every type that a route takes or answers with, and what these are made of."""
    models: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {}
    for route in routes:
        if route.body is not None:
            models[route.body, "validation"] = None
        if not isinstance(route.answer, Document):
            models[route.answer, "serialization"] = None
    _, definitions = models_json_schema(list(models), ref_template=_REFERENCE)
    schemas: dict[str, Any] = definitions["$defs"]
    for route in routes:
        if route.body is not None:
            schema = schemas[route.body.__name__]
            # The types themselves do not say which fields may be empty.
            schema["required"] = list(route.body.required_fields)
            _name_worlds(schema["properties"], _worlds_of(route.body, worlds))
    for schema in schemas.values():
        _tidy(schema)
    return {**schemas, _ERROR: _error_schema(None)}


def _operation(route: ApiRoute, worlds: Sequence[str]) -> dict[str, Any]:
    summary, _, more = (inspect.getdoc(route.handler) or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": f"{_module(route)}_{route.handler.__name__}" if route.path != "/health" else "health_short",
        "tags": [_module(route)],
        "summary": " ".join(summary.split()).rstrip("."),
        "description": " ".join(f"{more} {route.access.value}".split()),
        "parameters": [*_path_parameters(route, worlds), *_query_parameters(route, worlds)],
        "responses": _responses(route),
        "security": [] if route.access is Access.OPEN else [{"token": []}],
    }
    if route.access is Access.LEAVER:
        operation["security"].append({})
    if route.body is not None:
        schema = {"$ref": _REFERENCE.format(model=route.body.__name__)}
        operation["requestBody"] = {
            "required": True,
            "description": f"One JSON object of at most {MAX_FRAME_BYTES} bytes.",
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _path_parameters(route: ApiRoute, worlds: Sequence[str]) -> Iterable[dict[str, Any]]:
    schemas = {name: TypeAdapter(Identifier).json_schema() for name in re.findall(r"\{(\w+)\}", route.path)}
    _name_worlds(schemas, worlds)
    for name, schema in schemas.items():
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: ApiRoute, worlds: Sequence[str]) -> Iterable[dict[str, Any]]:
    if route.query is None:
        return
    schema = route.query.model_json_schema(by_alias=True)
    _name_worlds(schema["properties"], _worlds_of(route.query, worlds))
    for name, field in schema["properties"].items():
        _tidy(field)
        # A parameter is absent, never null.
        variants = [variant for variant in field.pop("anyOf", ()) if variant != {"type": "null"}]
        if field.get("default", ...) is None:
            del field["default"]
        yield {"name": name, "in": "query", "required": False, "schema": {**field, **(variants[0] if variants else {})}}


def _responses(route: ApiRoute) -> dict[str, Any]:
    media_type = route.answer.value if isinstance(route.answer, Document) else "application/json"
    schema: dict[str, Any] = {}
    if not isinstance(route.answer, Document):
        schema = {"$ref": _REFERENCE.format(model=route.answer.__name__)}
    elif route.answer is Document.JSON:
        schema = {"type": "object"}
    success = {"description": _first_line(route.answer), "content": {media_type: {"schema": schema}}}
    responses: dict[str, Any] = {"200": success}
    possible = [*_OF_EVERY_ROUTE, *route.errors]
    possible += _OF_EVERY_BODY if route.body is not None else ()
    possible += _OF_EVERY_TOKEN if route.access is not Access.OPEN else ()
    if route.body is not None and route.body.required_fields:
        possible.append(_error_of(route.body))
    for status in sorted({error.status for error in possible}):
        responses[str(status)] = _error_response([error for error in possible if error.status == status])
    if route.degraded:
        responses["503"] = {**success, "description": "The same, where something does not work."}
    return responses


def _error_of(body: type[Any]) -> type[VoiceError]:
    problem = body.missing([])
    assert isinstance(problem, VoiceError)
    return type(problem)


def _error_response(possible: Sequence[type[VoiceError]]) -> dict[str, Any]:
    texts = sorted({error.error for error in possible})
    response: dict[str, Any] = {
        "description": " ".join(dict.fromkeys(_first_line(error) for error in possible)),
        "content": {"application/json": {"schema": _error_schema(texts)}},
    }
    if possible[0].status in {429, 503}:
        seconds = {"schema": {"type": "integer", "minimum": 1}, "description": "When to come back, in seconds."}
        response["headers"] = {"Retry-After": seconds}
    return response


def _error_schema(texts: Sequence[str] | None) -> dict[str, Any]:
    """The one shape of all errors; with `texts`, of those that say one of them."""
    if texts is not None:
        return {"allOf": [{"$ref": _REFERENCE.format(model=_ERROR)}, {"properties": {"error": {"enum": list(texts)}}}]}
    return {
        "type": "object",
        "description": "An error. Its details stand beside these fields.",
        "properties": {
            "success": {"const": False},
            "error": {"type": "string", "description": "A stable text that programs act on."},
            "message": {"type": "string", "description": "For people, in their language."},
            "timestamp": {"type": "string", "format": "date-time"},
        },
        "required": ["success", "error", "message", "timestamp"],
    }


def _worlds_of(model: type[BaseModel], worlds: Sequence[str]) -> Sequence[str]:
    return (*worlds, EVERYWHERE) if model in _EVERYWHERE_TOO else worlds


def _name_worlds(properties: dict[str, Any], worlds: Sequence[str]) -> None:
    """Which worlds there are is a setting; the types know none."""
    if "world" not in properties:
        return
    field = properties["world"]
    named = {"type": "string", "enum": list(worlds)}
    if "anyOf" in field:
        properties["world"] = {**field, "anyOf": [named, {"type": "null"}]}
    else:
        properties["world"] = named


def _tidy(schema: Any) -> None:
    """Leave out titles that repeat the names of fields."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for value in schema.values():
            _tidy(value)
    elif isinstance(schema, list):
        for value in schema:
            _tidy(value)


def _module(route: ApiRoute) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _first_line(thing: object) -> str:
    text = inspect.getdoc(thing) if inspect.isclass(thing) else "The document."
    return " ".join((text or "").partition("\n\n")[0].split())
