"""The routers of all rooms in which somebody is connected."""

from __future__ import annotations

from .router import Endpoint, Router, RouterHost

__all__ = ["RoomDirectory"]


class RoomDirectory:
    """Finds and makes routers; that of an empty room leaves memory."""

    def __init__(self, host: RouterHost) -> None:
        self._host = host
        self._routers: dict[str, Router] = {}

    def __len__(self) -> int:
        return len(self._routers)

    def find(self, room_id: str) -> Router | None:
        """The room's router, or None while nobody is connected there."""
        return self._routers.get(room_id)

    def router(self, room_id: str) -> Router:
        """The room's router, made for the first who connects."""
        router = self._routers.get(room_id)
        if router is None:
            router = self._routers[room_id] = Router(room_id, self._host)
        return router

    def disconnect(self, room_id: str, endpoint: Endpoint) -> None:
        """Take an endpoint out of its room, if it is in it."""
        router = self._routers.get(room_id)
        if router is not None:
            router.disconnect(endpoint)
            if router.is_empty:
                del self._routers[room_id]
