"""Cursors: a place in a list, as an opaque text for clients.

A cursor names the list that it is of, so that one of another list is refused; it gives no rights, and holds nothing that its
holder did not see. It stays good as long as the list has its order, whatever is added to it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from server.errors import InvalidRequest
from server.storage.queries import Position

__all__ = ["cursor_of", "position_of"]

_FORM: Final = re.compile(r"([a-z]+)\|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\|(\d{1,18})", re.ASCII)


def cursor_of(kind: str, position: Position | None) -> str | None:
    """The cursor for a place in a list of this kind; None for the end."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(f"{kind}|{position.at}|{position.id}".encode()).rstrip(b"=").decode()


def position_of(kind: str, cursor: str | None) -> Position | None:
    """The place that a cursor names; None for the beginning. Raises `InvalidRequest` for one that is not from here."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _FORM.fullmatch(text)
    if found is None or found[1] != kind:
        raise InvalidRequest("cursor", "not a cursor of this list")
    return Position(found[2], int(found[3]))
