"""The wire as types: REST bodies and WebSocket messages, decoded once at the edge. No I/O.

`docs/protocol.md` is the prose of it, and a test holds the two together.
"""

from __future__ import annotations

from server.protocol.codes import CloseCode
from server.protocol.fields import MAX_FRAME_BYTES, format_time

__all__ = ["MAX_FRAME_BYTES", "CloseCode", "format_time"]
