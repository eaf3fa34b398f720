"""The data folder: whose it is, and one server at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Settings
from server.data_folder import InUse, make, sole_use
from server.errors import ConfigError


def test_folders_are_made_for_the_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a" / "data", database=tmp_path / "b" / "base" / "voice.db")
    make(settings)
    make(settings)
    for folder in (settings.data_dir, settings.database.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    with pytest.raises(ConfigError, match=r"data \(VOICE_DATA_DIR\) may be written to by everybody"):
        make(Settings(data_dir=tmp_path / "data"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data \(VOICE_DATA_DIR\) cannot be used: "):
        make(Settings(data_dir=tmp_path / "file" / "data"))
    with pytest.raises(ConfigError, match=r"file \(VOICE_DATABASE\) cannot be used: "):
        make(Settings(data_dir=tmp_path / "data", database=tmp_path / "file" / "voice.db"))


def test_one_server_at_a_time_has_the_database(settings: Settings, tmp_path: Path) -> None:
    with sole_use(settings.database):
        with pytest.raises(InUse, match=r"Another server already works with .*voice\.db"), sole_use(settings.database):
            pytest.fail("two have it")
        with sole_use(replace(settings, database=tmp_path / "other.db").database):
            pass
    with sole_use(settings.database):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"voice\.db\.lock cannot be used"), sole_use(tmp_path / "missing" / "voice.db"):
        pytest.fail("it has it")
