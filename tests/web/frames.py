"""Frames of the server, held to the AsyncAPI document: every one that a test receives is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from server.web import asyncapi
from server.web.voice import SIGNALLING_PATH

__all__ = ["check_frame", "validator_of"]


@cache
def document() -> dict[str, Any]:
    return asyncapi.document(SIGNALLING_PATH)


@cache
def validator_of(message: str) -> jsonschema_rs.Draft202012Validator:
    """What holds a frame to the message of this name in the document."""
    schema = {"$ref": f"#/components/messages/{message}/payload", "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def check_frame(frame: Mapping[str, Any]) -> None:
    """Raises `AssertionError` for a frame that is not as the document says."""
    known = [
        name for name in (f"server_{frame['type']}", f"relayed_{frame['type']}") if name in document()["components"]["messages"]
    ]
    assert known, f"the document has no message {frame['type']}"
    problems = [str(problem) for name in known for problem in validator_of(name).iter_errors(frame)]
    assert any(validator_of(name).is_valid(frame) for name in known), problems
