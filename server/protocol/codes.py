"""Why the server closes a WebSocket."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CloseCode"]


class CloseCode(IntEnum):
    """The close codes of `/api/ws`: RFC 6455, section 7.4, and from 4000 on our own.

    After 1012 and 1013 a client should come back, after 4409 it must not.
    """

    NORMAL = 1000
    """The session ended as it was asked to."""
    TOO_LARGE = 1009
    """A frame of more than 64 KiB."""
    RESTARTING = 1012
    """The server stops or restarts."""
    TOO_SLOW = 1013
    """The client did not read fast enough, and its outbox was full."""
    BAD_MESSAGE = 4400
    """A frame that is not one JSON object with a `type`."""
    UNAUTHORIZED = 4401
    """`voice_join` with a token that does not open this session."""
    REMOVED = 4403
    """Kicked or banned."""
    NO_SESSION = 4404
    """`voice_join` for a session that is not there, or not any more."""
    SILENT = 4408
    """No `voice_join` in time, or no sign of life."""
    REPLACED = 4409
    """A newer connection of the same session took over."""
    TOO_MANY = 4429
    """Many messages were refused, as there were too many of them, and more came."""
