"""The settings: one table, and what is made from it.

`SETTINGS` names each setting once. The options of `serve`, the environment names (`VOICE_…`), the lines of `.env`, the help
text and `docs/configuration.md` are all made from it. An option beats the environment, that beats `.env`, that beats the
default. Whatever is unknown or cannot be read stops the start with a `ConfigError` of one sentence; the value of a secret is
never part of it.
"""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from dotenv.parser import parse_stream

from server import setting_kinds as kinds
from server.errors import ConfigError
from server.limit_rules import DEFAULT_RULES, FOR_API_TOKENS, KINDS

__all__ = ["ENV_PREFIX", "SETTINGS", "Setting", "Settings", "load", "nearest", "read_env_file", "shown"]

ENV_PREFIX: Final = "VOICE_"
MAX_SLOTS: Final = 12


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its value; what each means stands in `SETTINGS`. Secrets are not part of its `repr`."""

    host: str = "127.0.0.1"
    port: int = 8080
    media_host: str = ""
    media_port: int = 50000
    public_addresses: tuple[str, ...] = ()
    data_dir: Path = Path("data")
    database: Path = Path()
    """Not given, `voice.db` in `data_dir`."""
    api_tokens: tuple[str, ...] = field(default=(), repr=False)
    jwt_secret: str = field(default="", repr=False)
    guests: bool = True
    worlds: tuple[str, ...] = ("materie", "energie")
    max_participants: int = 10
    slots: int = 0
    """Not given, `max_participants` - 1, but from 1 to 12."""
    allowed_origins: tuple[str, ...] = ("*",)
    default_language: str = "de"
    rate_limits: str = DEFAULT_RULES
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    max_sockets_per_address: int = 2000
    max_rooms_per_user: int = 10
    ice_servers: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    capacity_packets: int = 0
    print_token: bool = False
    log_level: str = "info"
    join_timeout_seconds: float = 20.0
    presence_timeout_seconds: float = 8.0
    speaking_threshold_dbov: int = 50
    speaking_attack_packets: int = 2
    speaking_hangover_ms: int = 400
    speaking_noise_margin_db: int = 8
    speaking_noise_window_seconds: float = 5.0
    speaking_always_dbov: int = 30
    interval_retention_days: float = 0.0
    session_token_hours: float = 24.0
    guest_token_hours: float = 24.0
    kick_minutes: float = 10.0
    mute_hours: float = 24.0

    def __post_init__(self) -> None:
        if self.database == Path():
            object.__setattr__(self, "database", self.data_dir / "voice.db")
        if self.slots == 0:
            object.__setattr__(self, "slots", max(1, min(self.max_participants - 1, MAX_SLOTS)))


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `name` is the field of `Settings`; `unit` is "" where the value has none.

    A `secret` has no option (everybody on a machine can read the options of a process) and is never shown.
    """

    name: str
    kind: kinds.Kind
    help: str
    unit: str = ""
    derived: str = ""
    """How the default comes about, where it is not simply the one of the field."""
    example: str = ""
    secret: bool = False

    @property
    def env(self) -> str:
        """Its name in the environment and in `.env`."""
        return ENV_PREFIX + self.name.upper()

    @property
    def option(self) -> str | None:
        """Its option of `serve`, or None for a secret."""
        return None if self.secret else "--" + self.name.replace("_", "-")

    @property
    def default(self) -> str:
        """The default as people read it: "" where that is the empty text."""
        if self.derived:
            return self.derived
        [default] = (entry.default for entry in fields(Settings) if entry.name == self.name)
        return shown(default)


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("host", kinds.HOST, "The address that pages and API are served on."),
    Setting("port", kinds.PORT, "The TCP port that pages and API are served on; 0 lets the system choose one."),
    Setting(
        "media_host",
        kinds.IP_ADDRESS_OR_ANY,
        "The address that audio is received on; empty for every address of the machine.",
    ),
    Setting("media_port", kinds.PORT, "The one UDP port of all audio; 0 lets the system choose one."),
    Setting(
        "public_addresses",
        kinds.IP_ADDRESSES,
        "The addresses that clients are told to send audio to, behind a NAT for instance; empty for those of the machine.",
        example="203.0.113.7,2001:db8::7",
    ),
    Setting("data_dir", kinds.FOLDER, "Where the database and generated secrets are kept."),
    Setting("database", kinds.FILE, "The database.", derived="voice.db in the data folder", example="/var/lib/voice/voice.db"),
    Setting(
        "api_tokens",
        kinds.API_TOKENS,
        "The tokens of trusted backends and operators; all of them are valid, so that they can be rotated.",
        derived="generated once, kept in the data folder",
        secret=True,
    ),
    Setting(
        "jwt_secret",
        kinds.JWT_SECRET,
        "The key that user and session tokens are signed with (HS256).",
        derived="generated once, kept in the data folder",
        secret=True,
    ),
    Setting("guests", kinds.SWITCH, "Whether someone without an account may enter under a name."),
    Setting("worlds", kinds.WORLDS, "The worlds that rooms belong to."),
    Setting("max_participants", kinds.whole_number(1, 1000), "How many people a room holds.", unit="people"),
    Setting(
        "slots",
        kinds.whole_number(1, MAX_SLOTS),
        "How many people one hears at the same time; of more, the loudest are heard.",
        unit="people",
        derived=f"one less than a room holds, at most {MAX_SLOTS}",
        example="6",
    ),
    Setting(
        "allowed_origins",
        kinds.ORIGINS,
        "Whose pages may call from a browser; * for all.",
        example="https://voice.example",
    ),
    Setting("default_language", kinds.choice("de", "en"), "The language of messages where a request asks for none."),
    Setting(
        "rate_limits",
        kinds.RATE_LIMITS,
        "How often one caller may do what, as name=times/seconds; the list is the whole list. Kinds: "
        + ", ".join(f"{kind} ({meaning})" for kind, meaning in KINDS.items())
        + f"; with {FOR_API_TOKENS} at its end, as in join{FOR_API_TOKENS}, a rule is for API tokens.",
        example="join=30/60s,guest=10/60s",
    ),
    Setting(
        "trusted_proxies",
        kinds.NETWORKS,
        "The proxies in front of this server that are believed whom they speak for (X-Forwarded-For); limits count addresses.",
        example="10.0.0.0/8",
    ),
    Setting(
        "max_sockets_per_address",
        kinds.whole_number(0, 1_000_000),
        "How many WebSocket connections one address may have open; 0 for any number.",
        unit="connections",
    ),
    Setting(
        "max_rooms_per_user",
        kinds.whole_number(0, 10_000),
        "How many rooms one user may be in at the same time; 0 for any number.",
        unit="rooms",
    ),
    Setting(
        "ice_servers",
        kinds.ICE_SERVERS,
        "STUN and TURN servers that clients are told of.",
        derived="none",
        example='[{"urls": "turn:turn.example:3478", "username": "…", "credential": "…"}]',
        secret=True,
    ),
    Setting(
        "capacity_packets",
        kinds.whole_number(0, 100_000_000),
        "How many packets of audio may leave before nobody new is let in; 0 for what weltenstimme bench capacity measured here.",
        unit="packets/s",
    ),
    Setting(
        "print_token",
        kinds.SWITCH,
        "Whether the admin token that was made here is printed at start even where nobody sits at a terminal; make run does.",
    ),
    Setting("log_level", kinds.choice("debug", "info", "warning", "error"), "From which weight on log lines are written."),
    Setting(
        "join_timeout_seconds",
        kinds.number(1, 600),
        "How long a place is kept for someone who joined and did not connect.",
        unit="s",
    ),
    Setting(
        "presence_timeout_seconds",
        kinds.number(1, 600),
        "How long someone may give no sign, by WebSocket or audio, before the stay ends.",
        unit="s",
    ),
    Setting(
        "speaking_threshold_dbov",
        kinds.whole_number(1, 126),
        "How far below full scale a voice may be and still count as speaking (RFC 6464).",
        unit="-dBov",
    ),
    Setting(
        "speaking_attack_packets", kinds.whole_number(1, 50), "How many loud packets in a row begin speaking.", unit="packets"
    ),
    Setting("speaking_hangover_ms", kinds.whole_number(0, 5000), "How long a pause within speaking may be.", unit="ms"),
    Setting(
        "speaking_noise_margin_db",
        kinds.whole_number(0, 40),
        "By how much a voice must be louder than the room behind it, where a client suppresses no noise; 0: the threshold alone.",
        unit="dB",
    ),
    Setting(
        "speaking_noise_window_seconds",
        kinds.number(0.5, 60),
        "The quietest moment of so long is taken for the room; a sound without a gap for longer is noise.",
        unit="s",
    ),
    Setting(
        "speaking_always_dbov",
        kinds.whole_number(0, 126),
        "What is as loud as this, that far below full scale, is speaking in any room.",
        unit="-dBov",
    ),
    Setting(
        "interval_retention_days",
        kinds.number(0, 36_500),
        "How long single talk-spurts and points of quality are kept; what they come to in all stays. 0 keeps them for good.",
        unit="days",
    ),
    Setting("session_token_hours", kinds.number(0.01, 8760), "How long a session token is valid.", unit="h"),
    Setting("guest_token_hours", kinds.number(0.01, 8760), "How long the token of a guest is valid.", unit="h"),
    Setting(
        "kick_minutes", kinds.number(0.01, 525_600), "How long someone who was kicked may not come back to that room.", unit="min"
    ),
    Setting(
        "mute_hours",
        kinds.number(0.01, 8760),
        "How long a moderator's mute holds in that room, over leaving and coming back, where nobody lifts it.",
        unit="h",
    ),
)


def load(options: Mapping[str, str], environment: Mapping[str, str], env_file: Mapping[str, str]) -> Settings:
    """The settings in force. `options` is keyed by setting name, the other two by `VOICE_…` name.

    Names that do not begin with `VOICE_` are none of our business. Raises `ConfigError`.
    """
    by_env = {setting.env: setting for setting in SETTINGS}
    values: dict[str, Any] = {}
    for place, texts in ((".env", env_file), ("the environment", environment)):
        for name, text in texts.items():
            if not name.upper().startswith(ENV_PREFIX):
                continue
            if name not in by_env:
                raise ConfigError(f"{name} in {place} is not a setting{nearest(name, by_env)}.")
            values[by_env[name].name] = _read(by_env[name], text, f"{name} in {place}")
    for setting in SETTINGS:
        if setting.name in options:
            values[setting.name] = _read(setting, options[setting.name], f"{setting.env} ({setting.option})")
    return Settings(**values)


def read_env_file(path: Path) -> dict[str, str]:
    """What a `.env` file sets, {} where there is none. Values are taken as they are: `$` stands for itself.

    Raises `ConfigError` for a file that cannot be read and for a line that is not `NAME=value`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError(f"{path} cannot be read: it takes text in UTF-8.") from None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.") from None
    values: dict[str, str] = {}
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            raise ConfigError(f"Line {line.original.line} of {path} cannot be read; it takes NAME=value.")
        if line.key is not None and line.value is not None:
            values[line.key] = line.value
    return values


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `; the nearest is …`, or where to find the known ones."""
    near = difflib.get_close_matches(name.upper() if name.upper().startswith(ENV_PREFIX) else name, known, n=1)
    return f"; the nearest is {near[0]}" if near else "; `weltenstimme serve --help` lists them all"


def shown(value: object) -> str:
    """A value as people write it in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        if any(isinstance(item, dict) for item in value):
            return json.dumps(value)
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(setting: Setting, text: str, where: str) -> Any:
    text = text.strip()
    try:
        if not text and not setting.kind.may_be_empty:
            raise kinds.BadValue("is empty")
        return setting.kind.parse(text)
    except kinds.BadValue as problem:
        # A secret is not repeated; neither is a long text, as a secret may have slipped into the wrong name.
        said = f" ({text!r})" if text and len(text) <= 40 and not setting.secret else ""
        raise ConfigError(f"{where} {problem}{said}; it takes {setting.kind.takes}.") from None
