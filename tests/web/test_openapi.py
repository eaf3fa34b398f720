"""The OpenAPI document: valid, whole, made from the types, and true of a server that runs."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from server.errors import VoiceError
from server.web.contract import Access, ApiRoute, Document
from server.web.openapi import document
from server.web.routes import API_ROUTES
from tests.process import serving
from tests.web.conftest import MakeSite
from tests.web.site import Site

DOCUMENT = document(API_ROUTES, ("materie", "energie"))
LEAST_CASES = 2_000
PATIENCE_SECONDS = 110


def operation(route: ApiRoute) -> dict[str, Any]:
    found = DOCUMENT["paths"][route.path][route.method.lower()]
    assert isinstance(found, dict)
    return found


def route_id(route: ApiRoute) -> str:
    return f"{route.method} {route.path}"


def test_it_is_valid() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_it_has_every_route_and_no_other() -> None:
    described = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert described == {(route.method, route.path) for route in API_ROUTES}
    ids = [found["operationId"] for operations in DOCUMENT["paths"].values() for found in operations.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("route", API_ROUTES, ids=route_id)
def test_every_route_says_what_it_takes_and_answers(route: ApiRoute) -> None:
    found = operation(route)
    assert found["summary"]
    assert ("requestBody" in found) is (route.method == "POST")
    assert (found["security"] == []) is (route.access is Access.OPEN)
    names = {parameter["name"] for parameter in found["parameters"] if parameter["in"] == "path"}
    assert names == set(re.findall(r"\{(\w+)\}", route.path))
    for status in ("401", "403") if route.access is not Access.OPEN else ():
        assert status in found["responses"]
    for status in ("400", "413") if route.body is not None else ():
        assert status in found["responses"]
    for error in route.errors:
        assert error.error in told(found, error), error


def told(found: dict[str, Any], error: type[VoiceError]) -> list[str]:
    [_, narrowed] = found["responses"][str(error.status)]["content"]["application/json"]["schema"]["allOf"]
    texts = narrowed["properties"]["error"]["enum"]
    assert isinstance(texts, list)
    return texts


@pytest.mark.parametrize("route", [route for route in API_ROUTES if route.body is not None], ids=route_id)
def test_a_body_has_the_fields_of_its_type(route: ApiRoute) -> None:
    assert route.body is not None
    schema = DOCUMENT["components"]["schemas"][route.body.__name__]
    assert set(schema["properties"]) == set(route.body.model_fields)
    assert schema["required"] == list(route.body.required_fields)


@pytest.mark.parametrize("route", [route for route in API_ROUTES if not isinstance(route.answer, Document)], ids=route_id)
def test_an_answer_has_the_fields_of_its_type(route: ApiRoute) -> None:
    assert not isinstance(route.answer, Document)
    schema = DOCUMENT["components"]["schemas"][route.answer.__name__]
    assert set(schema["properties"]) == set(route.answer.model_fields)
    assert "timestamp" in schema["required"]
    assert schema["properties"]["timestamp"] == {"type": "string", "format": "date-time"}


async def test_it_is_served_with_the_worlds_of_the_settings(make_site: MakeSite) -> None:
    site = await make_site({"worlds": ("erde", "mond")})
    answer = await site.client.get("/api/openapi.json")
    served = json.loads(await answer.text())
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert served == json.loads(json.dumps(document(API_ROUTES, ("erde", "mond"))))
    schemas = served["components"]["schemas"]
    assert schemas["JoinRequest"]["properties"]["world"] == {"type": "string", "enum": ["erde", "mond"]}
    assert schemas["ActionRequest"]["properties"]["world"]["enum"] == ["erde", "mond", "*"]


async def test_the_viewer_loads_nothing_from_elsewhere(site: Site) -> None:
    answer = await site.client.get("/api/docs")
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    page = (Path(__file__).parents[2] / "static" / "docs" / "index.html").read_text(encoding="utf-8")
    assert all(link.startswith("/") for link in re.findall(r'(?:src|href)="([^"]+)"', page))
    assert not re.search(r"<script>|<style|style=|onclick=", page)


async def test_a_server_does_what_it_says(tmp_path: Path) -> None:
    """schemathesis makes requests of all kinds from the document, always the same ones, and looks at every answer."""
    tokens = [secrets.token_urlsafe(32), secrets.token_urlsafe(32)]
    environment = {
        "VOICE_API_TOKENS": ",".join(tokens),
        "VOICE_RATE_LIMITS": "off",
        "VOICE_MAX_ROOMS_PER_USER": "0",
        "VOICE_LOG_LEVEL": "error",
    }
    # A token on a command line could be read by everybody on the machine. 400 is fine for what a schema cannot say, such as that
    # someone left after they came.
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(
        f"""
        headers = {{ Authorization = "Bearer {tokens[0]}" }}
        [generation]
        deterministic = true
        max-examples = 60
        [checks.positive_data_acceptance]
        expected-statuses = ["2xx", "400", "401", "403", "404", "409", "503"]
        """,
        encoding="utf-8",
    )
    program = Path(sys.executable).with_name("schemathesis")
    async with serving(folder=tmp_path, environment=environment) as server:
        options = ["--config-file", str(configuration), "run", f"{server.url}api/openapi.json"]
        options += ["--checks", "all", "--warnings", "off", "--suppress-health-check", "all", "--no-color"]
        process = await asyncio.create_subprocess_exec(
            program, *options, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        report = out.decode()
        assert process.returncode == 0, report
        finished = await server.stop()
    found = re.search(r"(\d+) generated, (\d+) passed", report)
    assert found is not None, report
    assert int(found[1]) == int(found[2]) >= LEAST_CASES
    assert finished.code == 0
    assert "Traceback" not in finished.err
