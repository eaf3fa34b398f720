"""The data folder: made for its owner only, and one server at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from server.config import Settings
from server.errors import ConfigError

__all__ = ["InUse", "make", "sole_use"]

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class InUse(Exception):
    """Another server works with the same database. The text says so to the operator."""


def make(settings: Settings) -> None:
    """Makes the data folder and the folder of the database where missing, for their owner only.

    Raises `ConfigError` where that fails, and where everybody may write to a folder that is there.
    """
    for folder, name in ((settings.data_dir, "VOICE_DATA_DIR"), (settings.database.parent, "VOICE_DATABASE")):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Made with its mode in one step: there is no moment in which others could look in.
            folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            mode = folder.stat().st_mode
        except OSError as problem:
            raise ConfigError(f"The folder {folder} ({name}) cannot be used: {problem.strerror}.") from None
        if mode & stat.S_IWOTH:
            raise ConfigError(f"The folder {folder} ({name}) may be written to by everybody; take that away with chmod o-w.")


@contextmanager
def sole_use(database: Path) -> Iterator[None]:
    """Holds the database for this process until the block ends; the system lets go of it if the process dies.

    A second server would take the sessions of the first for left over from a crash, and close them. Raises `InUse`.
    """
    path = database.with_name(database.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be used: {problem.strerror}.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"Another server already works with {database}; stop it, or choose another VOICE_DATA_DIR.") from None
        yield
    finally:
        os.close(handle)
