"""`/api/openapi.json`, `/api/asyncapi.json`: what there is, for programs, as this server is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

__all__ = ["DOCUMENTS", "Documents", "asyncapi", "openapi"]

CACHE_CONTROL: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents, encoded once."""

    openapi: bytes
    asyncapi: bytes


DOCUMENTS: Final = web.AppKey("DOCUMENTS", Documents)


async def openapi(request: web.Request) -> web.Response:
    """This document: the REST API as OpenAPI 3.1."""
    return _answer(request.app[DOCUMENTS].openapi)


async def asyncapi(request: web.Request) -> web.Response:
    """The WebSocket protocol as AsyncAPI 3."""
    return _answer(request.app[DOCUMENTS].asyncapi)


def _answer(document: bytes) -> web.Response:
    return web.Response(body=document, content_type="application/json", charset="utf-8", headers={"Cache-Control": CACHE_CONTROL})
