"""How much this machine carries: the file that `weltenstimme bench capacity` leaves in the data folder, read at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from server.config import Settings
from server.errors import ConfigError

__all__ = ["FILE_NAME", "packet_limit"]

FILE_NAME: Final = "capacity.json"
KEY: Final = "packets_per_second"


def packet_limit(settings: Settings) -> int | None:
    """Packets a second that may leave; None where nobody set a limit or measured one.

    `VOICE_CAPACITY_PACKETS` counts where it is not 0, else the file. Raises `ConfigError` for a file that cannot be used.
    """
    if settings.capacity_packets:
        return settings.capacity_packets
    return _measured(settings.data_dir / FILE_NAME)


def _measured(path: Path) -> int | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read ({type(problem).__name__}); measure again, or remove it.") from None
    limit = found.get(KEY) if isinstance(found, dict) else None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ConfigError(f"{path} has no {KEY} of at least 1; measure again, or remove it.")
    return limit
