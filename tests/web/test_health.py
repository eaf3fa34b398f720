"""`/api/health`, `/health` and `/api/config`."""

from __future__ import annotations

import asyncio

import pytest

from server import resources
from server.web import health
from tests.web.conftest import MakeSite
from tests.web.site import Site


@pytest.mark.parametrize("path", ["/api/health", "/health"])
async def test_a_server_that_is_well(site: Site, path: str) -> None:
    answer = await site.client.get(path)
    assert answer.status == 200
    body = await answer.json()
    assert {"sfu", "guests", "server_measured_speaking"} <= set(body.pop("features"))
    assert body == {
        "success": True,
        "status": "ok",
        "version": resources.version(),
        "database": "connected",
        "ledger": {"status": "ok", "spooled": 0, "dropped": 0},
        "media": {"status": "ok", "port": 50000, "transports": 0},
        "load": {},
        "timestamp": "2026-02-13T17:30:00.123Z",
    }


async def test_guests_are_a_feature_only_where_they_are_let_in(make_site: MakeSite) -> None:
    site = await make_site({"guests": False})
    assert "guests" not in (await (await site.client.get("/health")).json())["features"]


async def failing() -> None:
    raise OSError("the disk is gone")


async def hanging() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("store_health", [failing, hanging])
async def test_a_database_that_does_not_answer(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, store_health: object
) -> None:
    monkeypatch.setattr(health, "DATABASE_PATIENCE_SECONDS", 0.01)
    site = await make_site(store_health=store_health)
    answer = await site.client.get("/api/health")
    body = await answer.json()
    assert (answer.status, body["success"], body["status"], body["database"]) == (503, False, "degraded", "disconnected")
    assert body["media"]["status"] == "ok"
    assert "disk" not in await answer.text()


async def test_a_media_port_that_does_not_answer(make_site: MakeSite) -> None:
    site = await make_site(media_alive=lambda: False)
    answer = await site.client.get("/api/health")
    body = await answer.json()
    assert (answer.status, body["status"], body["database"], body["media"]["status"]) == (503, "degraded", "connected", "down")


async def test_what_a_join_form_needs_to_know(site: Site) -> None:
    answer = await site.client.get("/api/config")
    assert await answer.json() == {
        "success": True,
        "worlds": ["materie", "energie"],
        "guests": True,
        "max_participants": 10,
        "slots": 9,
        "default_language": "de",
        "languages": ["de", "en"],
        "timestamp": "2026-02-13T17:30:00.123Z",
    }
