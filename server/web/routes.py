"""Every route, in one table: what is served, what an unknown address is told that there is, what documents are held to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from server.signalling.dispatch import Dispatcher
from server.web import health, voice
from server.web.deps import DEPS, WebDeps
from server.web.middleware import UnreadableRequests, add_headers, error_middleware
from server.web.pages import Pages
from server.web.ws import SocketEdge

__all__ = ["API_ROUTES", "ApiRoute", "endpoints", "setup_routes"]


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """A route of the REST API."""

    method: str
    path: str
    handler: Handler


API_ROUTES: Final[tuple[ApiRoute, ...]] = (
    ApiRoute("POST", "/api/auth/guest", voice.guest),
    ApiRoute("POST", "/api/voice/join", voice.join),
    ApiRoute("POST", "/api/voice/leave", voice.leave),
    ApiRoute("GET", "/api/voice/rooms/{world}", voice.rooms),
    ApiRoute("GET", "/api/voice/participants/{room_id}", voice.participants),
    ApiRoute("GET", "/api/config", health.config),
    ApiRoute("GET", "/api/health", health.health),
    ApiRoute("GET", "/health", health.health),
)


_UNREADABLE_REQUESTS: Final = UnreadableRequests()


def endpoints() -> tuple[str, ...]:
    """What there is, as `METHOD /path`."""
    return (*(f"{route.method} {route.path}" for route in API_ROUTES), f"GET {voice.SIGNALLING_PATH}")


def setup_routes(app: web.Application, deps: WebDeps) -> None:
    """Put everything that is served on `app`, which must not run yet. Connections are told good-bye when it shuts down."""
    app[DEPS] = deps
    logging.getLogger("aiohttp.server").addFilter(_UNREADABLE_REQUESTS)
    app.middlewares.append(error_middleware(endpoints()))
    app.on_response_prepare.append(add_headers)
    for route in API_ROUTES:
        add = app.router.add_get if route.method == "GET" else app.router.add_post
        add(route.path, route.handler)
    _add_signalling(app, deps)
    _add_pages(app, Pages(deps.static, deps.vendor))


def _add_signalling(app: web.Application, deps: WebDeps) -> None:
    edge = SocketEdge(Dispatcher(deps.service, deps.hub, deps.tokens, deps.settings))
    app.router.add_get(voice.SIGNALLING_PATH, edge.handle, allow_head=False)

    async def say_goodbye(app: web.Application) -> None:
        await deps.hub.close()

    app.on_shutdown.append(say_goodbye)


def _add_pages(app: web.Application, pages: Pages) -> None:
    app.router.add_get("/", pages.index)
    app.router.add_get("/admin", pages.admin)
    app.router.add_get("/admin.html", pages.admin)
    app.router.add_get("/example", pages.example_redirect)
    app.router.add_get("/example/", pages.example)
    app.router.add_get("/example/{path:.+}", pages.example_file)
    app.router.add_get("/static/{path:.+}", pages.static_file)
    app.router.add_get("/vendor/{path:.+}", pages.vendor_file)
    app.router.add_get("/favicon.ico", pages.favicon)
