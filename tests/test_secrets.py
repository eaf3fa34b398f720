"""Secrets that nobody gave."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Settings
from server.errors import ConfigError
from server.secrets import FILE_NAME, Provided, provide


@pytest.fixture
def bare(settings: Settings) -> Settings:
    """Settings without any secret."""
    return replace(settings, api_tokens=(), jwt_secret="")


def kept(settings: Settings) -> Path:
    return settings.data_dir / FILE_NAME


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_secrets_are_made_once_and_kept_for_the_owner_only(bare: Settings) -> None:
    first = provide(bare)
    assert first == provide(bare)
    assert first.settings.api_tokens == (first.generated_api_token,)
    assert first.generated_api_token is not None
    assert len(first.generated_api_token) >= 43
    assert len(first.settings.jwt_secret) >= 64
    assert first.settings == replace(bare, api_tokens=first.settings.api_tokens, jwt_secret=first.settings.jwt_secret)
    assert mode(kept(bare)) == 0o600
    assert [path.name for path in bare.data_dir.iterdir()] == [FILE_NAME]


def test_every_installation_has_its_own(bare: Settings, tmp_path: Path) -> None:
    other = replace(bare, data_dir=tmp_path)
    assert provide(bare).settings.api_tokens != provide(other).settings.api_tokens
    assert provide(bare).settings.jwt_secret != provide(other).settings.jwt_secret


def test_given_secrets_are_used_and_not_kept(settings: Settings) -> None:
    assert provide(settings) == Provided(settings, generated_api_token=None)
    assert not kept(settings).exists()


def test_only_what_was_not_given_is_made(settings: Settings) -> None:
    without_key = provide(replace(settings, jwt_secret=""))
    assert without_key.settings.api_tokens == settings.api_tokens
    assert without_key.generated_api_token is None
    assert without_key.settings.jwt_secret not in {"", settings.jwt_secret}
    without_tokens = provide(replace(settings, api_tokens=()))
    assert without_tokens.settings.jwt_secret == settings.jwt_secret
    assert without_tokens.settings.api_tokens == (without_tokens.generated_api_token,)
    assert not any(secret in kept(settings).read_text() for secret in (*settings.api_tokens, settings.jwt_secret))


def test_a_file_that_others_may_read_is_mended_and_told(bare: Settings, caplog: pytest.LogCaptureFixture) -> None:
    first = provide(bare)
    kept(bare).chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert provide(bare) == first
    assert mode(kept(bare)) == 0o600
    assert "had mode 644 and is now 600" in caplog.text
    assert first.generated_api_token is not None
    assert first.generated_api_token not in caplog.text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"api_token": "short", "jwt_secret": "short"}', '{"api_token": 1, "jwt_secret": 2}']
)
def test_a_file_that_holds_something_else_is_refused(bare: Settings, text: str) -> None:
    kept(bare).write_text(text)
    kept(bare).chmod(0o600)
    with pytest.raises(ConfigError, match=r"secrets\.json does not hold the secrets that it should"):
        provide(bare)
    assert kept(bare).read_text() == text


def test_a_link_to_elsewhere_is_not_followed(bare: Settings, tmp_path: Path) -> None:
    kept(bare).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"secrets\.json cannot be used"):
        provide(bare)
    assert not (tmp_path / "elsewhere").exists()


def test_starts_at_the_same_time_end_up_with_the_same_secrets(bare: Settings) -> None:
    together = threading.Barrier(8)
    found: list[Provided] = []

    def start() -> None:
        together.wait()
        found.append(provide(bare))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 8
    assert [path.name for path in bare.data_dir.iterdir()] == [FILE_NAME]


def test_secrets_are_not_in_a_repr(bare: Settings) -> None:
    provided = provide(bare)
    assert provided.generated_api_token is not None
    assert provided.generated_api_token not in repr(provided)
    assert provided.settings.jwt_secret not in repr(provided)
