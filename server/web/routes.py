"""Every route, in one table: what is served, what an unknown address is told that there is, what documents are held to."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web
from pydantic_core import to_json

from server import errors
from server.protocol import admin as lists
from server.protocol import moderation as orders
from server.protocol import rest
from server.protocol import tracking as reports
from server.signalling.dispatch import Dispatcher
from server.web import admin, asyncapi, documents, health, moderation, openapi, tracking, voice
from server.web.addresses import TRUSTED_PROXIES, networks
from server.web.contract import Access, ApiRoute, Document
from server.web.deps import DEPS, WebDeps
from server.web.documents import DOCUMENTS, Documents
from server.web.limits import SocketCounter
from server.web.middleware import UnreadableRequests, add_headers, error_middleware
from server.web.pages import Pages
from server.web.ws import SocketEdge

__all__ = ["API_ROUTES", "endpoints", "setup_routes"]


API_ROUTES: Final[tuple[ApiRoute, ...]] = (
    ApiRoute(
        "POST",
        "/api/auth/guest",
        voice.guest,
        Access.OPEN,
        rest.GuestAnswer,
        rest.GuestRequest,
        errors=(errors.Forbidden, errors.RateLimited),
    ),
    ApiRoute(
        "POST",
        "/api/voice/join",
        voice.join,
        Access.PERSON,
        rest.JoinAnswer,
        rest.JoinRequest,
        errors=(errors.RoomFull, errors.Banned, errors.AlreadyInRoom, errors.ServerAtCapacity, errors.Draining),
    ),
    ApiRoute(
        "POST",
        "/api/voice/leave",
        voice.leave,
        Access.LEAVER,
        rest.LeaveAnswer,
        rest.LeaveRequest,
        errors=(errors.SessionNotFound, errors.SessionAlreadyEnded),
    ),
    ApiRoute("GET", "/api/voice/rooms/{world}", voice.rooms, Access.TOKEN, rest.RoomsAnswer),
    ApiRoute("GET", "/api/voice/participants/{room_id}", voice.participants, Access.TOKEN, rest.ParticipantsAnswer),
    ApiRoute(
        "POST",
        "/api/voice/report",
        moderation.report,
        Access.TOKEN,
        orders.ReportAnswer,
        orders.ReportRequest,
        errors=(errors.TargetNotFound, errors.ServerAtCapacity),
    ),
    ApiRoute(
        "POST",
        "/api/admin/actions",
        moderation.act,
        Access.MODERATOR,
        orders.ActionAnswer,
        orders.ActionRequest,
        errors=(errors.TargetNotFound, errors.ServerAtCapacity),
    ),
    ApiRoute(
        "GET",
        "/api/admin/actions",
        admin.actions,
        Access.OPERATOR,
        lists.ActionsAnswer,
        query=lists.ActionQuery,
        errors=(errors.ServerAtCapacity,),
    ),
    ApiRoute("POST", "/api/admin/action/log", moderation.log, Access.OPERATOR, orders.ActionLogAnswer, orders.ActionLogRequest),
    ApiRoute(
        "POST",
        "/api/admin/voice-session/start",
        tracking.start,
        Access.OPERATOR,
        reports.StartAnswer,
        reports.StartRequest,
        errors=(errors.ServerAtCapacity,),
    ),
    ApiRoute(
        "POST",
        "/api/admin/voice-session/end",
        tracking.end,
        Access.OPERATOR,
        reports.EndAnswer,
        reports.EndRequest,
        errors=(errors.SessionNotFound, errors.SessionAlreadyEnded, errors.ServerAtCapacity),
    ),
    ApiRoute(
        "GET",
        "/api/admin/voice-calls/{world}",
        admin.voice_calls,
        Access.OPERATOR,
        lists.CallsAnswer,
        errors=(errors.ServerAtCapacity,),
    ),
    ApiRoute(
        "GET",
        "/api/admin/call-history/{world}",
        admin.call_history,
        Access.OPERATOR,
        lists.CallHistoryAnswer,
        query=lists.CallQuery,
        errors=(errors.ServerAtCapacity,),
    ),
    ApiRoute(
        "GET",
        "/api/admin/sessions",
        admin.sessions,
        Access.OPERATOR,
        lists.SessionsAnswer,
        query=lists.SessionQuery,
        errors=(errors.ServerAtCapacity,),
    ),
    ApiRoute(
        "GET",
        "/api/admin/sessions/{session_id}",
        admin.session,
        Access.OPERATOR,
        lists.SessionAnswer,
        errors=(errors.SessionNotFound, errors.ServerAtCapacity),
    ),
    ApiRoute(
        "GET",
        "/api/admin/user-profile/{user_id}",
        admin.user_profile,
        Access.OPERATOR,
        lists.UserAnswer,
        errors=(errors.UserNotFound, errors.ServerAtCapacity),
    ),
    ApiRoute("GET", "/api/config", health.config, Access.OPEN, rest.ConfigAnswer),
    ApiRoute("GET", "/api/health", health.health, Access.OPEN, rest.HealthAnswer, degraded=True),
    ApiRoute("GET", "/health", health.health, Access.OPEN, rest.HealthAnswer, degraded=True),
    ApiRoute("GET", "/api/openapi.json", documents.openapi, Access.OPEN, Document.JSON),
    ApiRoute("GET", "/api/asyncapi.json", documents.asyncapi, Access.OPEN, Document.JSON),
)


DOCS_PATH: Final = "/api/docs"

_UNREADABLE_REQUESTS: Final = UnreadableRequests()


def endpoints() -> tuple[str, ...]:
    """What there is, as `METHOD /path`."""
    return (*(f"{route.method} {route.path}" for route in API_ROUTES), f"GET {DOCS_PATH}", f"GET {voice.SIGNALLING_PATH}")


def setup_routes(app: web.Application, deps: WebDeps) -> None:
    """Put everything that is served on `app`, which must not run yet. Connections are told good-bye when it shuts down."""
    app[DEPS] = deps
    app[TRUSTED_PROXIES] = networks(deps.settings.trusted_proxies)
    app[DOCUMENTS] = Documents(
        openapi=to_json(openapi.document(API_ROUTES, deps.settings.worlds), indent=2),
        asyncapi=to_json(asyncapi.document(voice.SIGNALLING_PATH), indent=2),
    )
    logging.getLogger("aiohttp.server").addFilter(_UNREADABLE_REQUESTS)
    app.middlewares.append(error_middleware(endpoints()))
    app.on_response_prepare.append(add_headers)
    for route in API_ROUTES:
        add = app.router.add_get if route.method == "GET" else app.router.add_post
        add(route.path, route.handler)
    _add_signalling(app, deps)
    _add_pages(app, Pages(deps.static, deps.vendor))


def _add_signalling(app: web.Application, deps: WebDeps) -> None:
    dispatcher = Dispatcher(deps.service, deps.hub, deps.tokens, deps.settings, deps.moderation)
    edge = SocketEdge(dispatcher, SocketCounter(deps.settings.max_sockets_per_address))
    app.router.add_get(voice.SIGNALLING_PATH, edge.handle, allow_head=False)

    async def say_goodbye(app: web.Application) -> None:
        await deps.hub.close()

    app.on_shutdown.append(say_goodbye)


def _add_pages(app: web.Application, pages: Pages) -> None:
    app.router.add_get("/", pages.index)
    app.router.add_get("/admin", pages.admin)
    app.router.add_get("/admin.html", pages.admin)
    app.router.add_get(DOCS_PATH, pages.docs)
    app.router.add_get("/example", pages.example_redirect)
    app.router.add_get("/example/", pages.example)
    app.router.add_get("/example/{path:.+}", pages.example_file)
    app.router.add_get("/static/{path:.+}", pages.static_file)
    app.router.add_get("/vendor/{path:.+}", pages.vendor_file)
    app.router.add_get("/favicon.ico", pages.favicon)
