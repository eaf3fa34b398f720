"""The table of settings: reading, precedence, and sentences for what cannot be read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config import SETTINGS, Setting, Settings, load, read_env_file, shown
from server.errors import ConfigError

BY_NAME = {setting.name: setting for setting in SETTINGS}
TOKEN_A, TOKEN_B = "a" * 10 + "-one-of-two", "b" * 10 + "-two-of-two"


def from_environment(**values: str) -> Settings:
    return load({}, {BY_NAME[name].env: text for name, text in values.items()}, {})


def complaint(**values: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_environment(**values)
    return str(caught.value)


def test_the_table_has_one_row_for_each_field() -> None:
    assert [setting.name for setting in SETTINGS] == [entry.name for entry in fields(Settings)]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.env)
def test_each_row_is_complete_and_its_texts_can_be_read_back(setting: Setting) -> None:
    assert setting.help.endswith(".")
    if not setting.derived:
        assert getattr(from_environment(**{setting.name: setting.default}), setting.name) == getattr(Settings(), setting.name)
    if setting.example:
        value = getattr(from_environment(**{setting.name: setting.example}), setting.name)
        assert getattr(from_environment(**{setting.name: shown(value)}), setting.name) == value


def test_nothing_has_to_be_set() -> None:
    settings = load({}, {}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.media_port) == ("127.0.0.1", 8080, 50000)
    assert settings.worlds == ("materie", "energie")
    assert settings.database == Path("data/voice.db")
    assert (settings.api_tokens, settings.jwt_secret) == ((), "")


def test_an_option_beats_the_environment_which_beats_the_file() -> None:
    everywhere = {"VOICE_PORT": "1", "VOICE_MEDIA_PORT": "2", "VOICE_MAX_PARTICIPANTS": "3"}
    settings = load({"port": "10"}, {"VOICE_PORT": "20", "VOICE_MEDIA_PORT": "21"}, everywhere)
    assert (settings.port, settings.media_port, settings.max_participants) == (10, 21, 3)


def test_other_names_are_none_of_our_business() -> None:
    assert load({}, {"PATH": "/bin", "INVOICE_PORT": "x"}, {"OTHER": "y"}) == Settings()


@pytest.mark.parametrize(("people", "slots"), [(1, 1), (2, 1), (10, 9), (13, 12), (500, 12)])
def test_slots_follow_the_size_of_a_room(people: int, slots: int) -> None:
    assert from_environment(max_participants=str(people)).slots == slots
    assert from_environment(max_participants=str(people), slots="3").slots == 3


def test_the_database_is_in_the_data_folder_unless_it_is_named() -> None:
    assert from_environment(data_dir="/srv/voice").database == Path("/srv/voice/voice.db")
    assert from_environment(data_dir="/srv/voice", database="/tmp/other.db").database == Path("/tmp/other.db")


def test_what_was_derived_stays_when_settings_are_copied() -> None:
    settings = from_environment(data_dir="/srv/voice", max_participants="4")
    assert replace(settings, port=1) == replace(settings, port=1, slots=3, database=Path("/srv/voice/voice.db"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "voice.example", "voice.example"),
        ("host", "0:0::1", "::1"),
        ("port", " 0 ", 0),
        ("media_host", "", ""),
        ("public_addresses", "", ()),
        ("public_addresses", "203.0.113.7 , 2001:DB8::0:7", ("203.0.113.7", "2001:db8::7")),
        ("data_dir", "~/voice", Path("~/voice").expanduser()),
        ("api_tokens", f"{TOKEN_A}, {TOKEN_B}", (TOKEN_A, TOKEN_B)),
        ("guests", "False", False),
        ("guests", "on", True),
        ("worlds", "a,b-2,c_d", ("a", "b-2", "c_d")),
        ("allowed_origins", "*", ("*",)),
        ("allowed_origins", "https://Voice.example,http://[::1]:8080", ("https://voice.example", "http://[::1]:8080")),
        ("default_language", "EN", "en"),
        ("rate_limits", "OFF", "off"),
        ("rate_limits", "join=30/60s, guest=5/1s", "join=30/60s,guest=5/1s"),
        ("rate_limits", "join_api=9/1s", "join_api=9/1s"),
        ("trusted_proxies", "", ()),
        ("trusted_proxies", "10.0.0.0/8,2001:DB8::/32,192.0.2.1", ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32")),
        ("ice_servers", "", ()),
        (
            "ice_servers",
            '[{"urls": ["stun:a", "turns:b:5349?transport=tcp"]}]',
            ({"urls": ["stun:a", "turns:b:5349?transport=tcp"]},),
        ),
        ("join_timeout_seconds", "1.5", 1.5),
    ],
)
def test_what_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(from_environment(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("host", "not a host", "is not a host name or an IP address"),
        ("host", "256.1.1.1", "is not a host name or an IP address"),
        ("host", "", "is empty"),
        ("port", "http", "is not a whole number"),
        ("port", "8080.0", "is not a whole number"),
        ("port", "٨٠", "is not a whole number"),
        ("port", "65536", "is out of range"),
        ("port", "-1", "is out of range"),
        ("port", "9" * 30, "is not a whole number"),
        ("media_host", "localhost", "is not an IP address"),
        ("public_addresses", "203.0.113.7,voice.example", "is not an IP address"),
        ("public_addresses", "203.0.113.7,,::1", "has an empty entry"),
        ("public_addresses", "::1,0::1", "has an entry twice"),
        ("data_dir", "a\0b", "is not a path"),
        ("guests", "maybe", "is neither true nor false"),
        ("worlds", "", "is empty"),
        ("worlds", "Materie Zwei", "has an entry that is not the name of a world"),
        ("worlds", "../etc", "has an entry that is not the name of a world"),
        ("max_participants", "0", "is out of range"),
        ("slots", "13", "is out of range"),
        ("slots", "0", "is out of range"),
        ("allowed_origins", "voice.example", "has an entry that is not an origin"),
        ("allowed_origins", "https://voice.example/", "has an entry that is not an origin"),
        ("allowed_origins", "https://me@voice.example", "has an entry that is not an origin"),
        ("allowed_origins", "https://voice.example:port", "has an entry that is not an origin"),
        ("default_language", "fr", "is not one of the choices"),
        ("rate_limits", "many", "has a rule that cannot be read"),
        ("rate_limits", "join=0/60s", "has a rule that cannot be read"),
        ("rate_limits", "jion=30/60s", "has a rule for something that is not counted"),
        ("rate_limits", "join=30/60s,join=3/60s", "has a rule twice"),
        ("trusted_proxies", "proxy.example", "has an entry that is neither an IP address nor a network"),
        ("trusted_proxies", "10.0.0.1/8", "has an entry that is neither an IP address nor a network"),
        ("ice_servers", "stun:a", "is not JSON"),
        ("ice_servers", '{"urls": "stun:a"}', "is not a JSON list"),
        ("ice_servers", '["stun:a"]', "has an entry that is not an object"),
        ("ice_servers", '[{"url": "stun:a"}]', "has an entry without urls"),
        ("ice_servers", '[{"urls": []}]', "has an entry without urls"),
        ("ice_servers", '[{"urls": "https://a"}]', "has a url that is not a STUN or TURN address"),
        ("ice_servers", '[{"urls": "turn:a", "credential": 1}]', "has a username or credential that is not text"),
        ("ice_servers", "[" * 100_000, "is not JSON"),
        ("join_timeout_seconds", "nan", "is out of range"),
        ("join_timeout_seconds", "soon", "is not a number"),
        ("session_token_hours", "0", "is out of range"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(name: str, text: str, problem: str) -> None:
    sentence = complaint(**{name: text})
    assert sentence.startswith(f"{BY_NAME[name].env} in the environment {problem}")
    assert sentence.endswith(f"; it takes {BY_NAME[name].kind.takes}.")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("api_tokens", "too-short-a-token"),
        ("api_tokens", f"{TOKEN_A},geheim"),
        ("api_tokens", "ein-Schlüssel-mit-Umlauten"),
        ("api_tokens", f"{TOKEN_A},{TOKEN_A}"),
        ("jwt_secret", "x" * 31),
        ("ice_servers", '[{"urls": "turn:a", "credential": ["hunter2"]}]'),
    ],
)
def test_a_secret_is_refused_without_being_repeated(name: str, text: str) -> None:
    sentence = complaint(**{name: text})
    assert sentence.startswith(BY_NAME[name].env)
    assert not any(part in sentence for part in ("geheim", "hunter2", "xxx", "aaa", text))


def test_secrets_are_not_in_the_repr_of_settings() -> None:
    secret = "s" * 40
    settings = Settings(api_tokens=(secret,), jwt_secret=secret, ice_servers=({"urls": "turn:a", "credential": secret},))
    assert secret not in repr(settings)


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(
        ConfigError, match=r"^VOICE_MAX_PARTICIPANT in the environment .*; the nearest is VOICE_MAX_PARTICIPANTS\.$"
    ):
        load({}, {"VOICE_MAX_PARTICIPANT": "3"}, {})
    with pytest.raises(ConfigError, match=r"^voice_port in \.env is not a setting; the nearest is VOICE_PORT\.$"):
        load({}, {}, {"voice_port": "3"})
    with pytest.raises(ConfigError, match=r"^VOICE_XYZZY in the environment is not a setting; `weltenstimme serve --help` "):
        load({}, {"VOICE_XYZZY": "3"}, {})


def test_a_bad_option_is_told_under_both_of_its_names() -> None:
    with pytest.raises(ConfigError, match=r"^VOICE_MEDIA_PORT \(--media-port\) is not a whole number \('x'\); it takes"):
        load({"media_port": "x"}, {}, {})


@given(st.sampled_from(SETTINGS), st.text(max_size=60))
def test_any_text_is_a_value_or_a_sentence(setting: Setting, text: str) -> None:
    try:
        load({}, {setting.env: text}, {})
        sentence = setting.env
    except ConfigError as problem:
        sentence = str(problem)
    assert sentence.startswith(setting.env)


def test_ice_servers_are_shown_as_they_are_given() -> None:
    servers = [{"urls": "stun:a"}]
    assert shown(from_environment(ice_servers=json.dumps(servers)).ice_servers) == json.dumps(servers)


class TestEnvFile:
    """Reading `.env`."""

    def test_no_file_sets_nothing(self, tmp_path: Path) -> None:
        assert read_env_file(tmp_path / ".env") == {}

    def test_lines_comments_quotes_and_dollars(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        path.write_text(
            "# a comment\nVOICE_PORT=9000 # why\n\nexport VOICE_WORLDS='a,b'\nVOICE_JWT_SECRET=a$b${HOME}c\nVOICE_MEDIA_HOST=\n"
        )
        assert read_env_file(path) == {
            "VOICE_PORT": "9000",
            "VOICE_WORLDS": "a,b",
            "VOICE_JWT_SECRET": "a$b${HOME}c",
            "VOICE_MEDIA_HOST": "",
        }

    @pytest.mark.parametrize("line", ["VOICE_PORT 9000", "VOICE_PORT", "VOICE_PORT='9000"])
    def test_a_line_that_cannot_be_read_is_named(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / ".env"
        path.write_text(f"VOICE_HOST=::1\n{line}\n")
        with pytest.raises(ConfigError, match=r"^Line 2 of .*\.env cannot be read; it takes NAME=value\.$"):
            read_env_file(path)

    def test_a_file_that_is_none_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            read_env_file(tmp_path)
        path = tmp_path / ".env"
        path.write_bytes(b"VOICE_HOST=\xff\n")
        with pytest.raises(ConfigError, match="text in UTF-8"):
            read_env_file(path)
