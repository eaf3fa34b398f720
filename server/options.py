"""The command line: its commands and the options that the table of settings gives it. Nothing runs here."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NoReturn

from server.config import SETTINGS, Setting, nearest
from server.errors import ConfigError

__all__ = ["VERBS", "Argument", "Command", "CommandLine", "Verb", "parse"]

_PROGRAM: Final = "weltenstimme"
_SOURCES: Final = (
    "Every setting can also be given in the environment or in a file .env in the folder where the server starts, "
    "under its name VOICE_…. An option beats the environment, the environment beats .env."
)


class Command(StrEnum):
    """What the program is asked for."""

    SERVE = "serve"
    SETTINGS = "settings"
    TOKEN = "token"  # noqa: S105 - the word, not one
    ROLE = "role"
    AUDIT = "audit"
    IMPORT = "import"
    BENCH = "bench"
    VERSION = "version"


_SUMMARIES: Final = {
    Command.SERVE: "start the server (also without naming a command)",
    Command.SETTINGS: "show the settings in force, without the secrets",
    Command.TOKEN: "make, revoke and list tokens, also of a running server",
    Command.ROLE: "give somebody a role, whatever their token says",
    Command.AUDIT: "check the moderation log",
    Command.IMPORT: "take over the rows of an older version, while no server runs",
    Command.BENCH: "measure what this machine carries",
    Command.VERSION: "show the version",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An option (`--…`) or a positional argument of a verb. `name` is its key in `CommandLine.arguments`."""

    name: str
    help: str
    option: bool = True
    required: bool = False
    kind: Callable[[str], Any] = str
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """What a command can be told to do: `weltenstimme token create`. One that can do one thing only needs no word for it."""

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()


THE_ONLY_ONE: Final = ""
"""The name of a verb whose command has no other."""


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= _MAX_HOURS:
        raise argparse.ArgumentTypeError(f"it takes a number above 0, at most {_MAX_HOURS}")
    return hours


def _within(low: float, high: float, make: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = make(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"it takes a number from {low:g} to {high:g}")
        return value

    return parse


_share: Final = _within(0.01, 1, float)
_rooms: Final = _within(1, 500, int)
_seconds: Final = _within(1, 60, float)
_MAX_HOURS: Final = 876_000
_ROLES: Final = ("user", "moderator", "admin")
_GRANTS: Final = (
    Argument("worlds", "the worlds where the role holds, separated by commas; default: all"),
    Argument("rooms", "the rooms where the role holds, separated by commas; default: all"),
)
VERBS: Final[Mapping[Command, tuple[Verb, ...]]] = MappingProxyType(
    {
        Command.TOKEN: (
            Verb(
                "create",
                "make a user token (--user) or an API token (--api) and print it",
                (
                    Argument("user", "the user id of a user token"),
                    Argument("name", "the name of that user"),
                    Argument("role", "the role of that user; default: user", choices=_ROLES),
                    *_GRANTS,
                    Argument("hours", "how long the user token is valid; default: 24", kind=_hours),
                    Argument("api", "the label of an API token, which may do everything until it is revoked"),
                ),
            ),
            Verb(
                "revoke",
                "refuse a token from now on and close what it has opened",
                (Argument("token", "the jti of a user token or the label of an API token", option=False, required=True),),
            ),
            Verb("list", "list the tokens that were made or revoked here"),
        ),
        Command.ROLE: (
            Verb(
                "set",
                "give a user a role, instead of the one they had",
                (
                    Argument("user", "the user id", required=True),
                    Argument("role", "the role", required=True, choices=_ROLES),
                    *_GRANTS,
                ),
            ),
        ),
        Command.AUDIT: (
            Verb(
                "verify",
                "check that no row was edited, removed, swapped or cut off; exit code 1 names the first one that was",
                (Argument("noted", "a hash that was printed before and noted: that the log was not written anew since then"),),
            ),
        ),
        Command.IMPORT: (
            Verb(
                THE_ONLY_ONE,
                "take over sessions, people and the moderation log",
                (Argument("file", "a database of an older version, or an SQL dump of one", option=False, required=True),),
            ),
        ),
        Command.BENCH: (
            Verb(
                "capacity",
                "load this machine for about a minute and note in the data folder how many packets a second it carries",
                (
                    Argument("share", "how much of the highest load that held is let in; default: 0.8", kind=_share),
                    Argument("rooms", "the most rooms of ten that are tried; default: 40", kind=_rooms),
                    Argument("seconds", "how long each load is measured; default: 2", kind=_seconds),
                ),
            ),
        ),
    }
)
"""Commands that work on the database and are told what to do by a word of their own."""
_SETTINGS_OF_VERBS: Final = frozenset({"data_dir", "database"})
"""The settings that such commands take as options; the others they take from the environment and `.env`."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was asked for. `options` is keyed by setting name and holds what was given, as text.

    `verb` is None for commands that have none; `arguments` holds what was given to it, by the name of the argument.
    """

    command: Command
    options: dict[str, str] = field(default_factory=dict)
    verb: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def parse(arguments: Sequence[str]) -> CommandLine:
    """Reads the arguments after the program's name; without a command it is `serve`.

    Raises `ConfigError` for what it does not know, and `SystemExit` once it has printed the help that was asked for. A value
    given to an unknown option is not repeated: it might be a secret.
    """
    arguments = list(arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help", "--version"}):
        arguments.insert(0, Command.SERVE.value)
    if arguments == ["--version"]:
        arguments = [Command.VERSION.value]
    found, unknown = _parser().parse_known_args(arguments)
    values = vars(found)
    command = Command(values.pop("command"))
    if unknown:
        _refuse(unknown, command)
    if command not in VERBS:
        return CommandLine(command, values)
    verb = values.pop("verb", THE_ONLY_ONE)
    options = {name: values.pop(name) for name in _SETTINGS_OF_VERBS & values.keys()}
    return CommandLine(command, options, verb, values)


def _refuse(unknown: Sequence[str], command: Command) -> NoReturn:
    option = next((word.partition("=")[0] for word in unknown if word.startswith("--")), None)
    if option is None:
        raise ConfigError(f"{_PROGRAM} {command} takes options only; the first word that is none is {unknown[0]!r}.")
    for setting in SETTINGS:
        if setting.secret and option == "--" + setting.name.replace("_", "-"):
            raise ConfigError(f"{option} is not an option: a secret is given as {setting.env}, in the environment or in .env.")
    known = [setting.option for setting in _settings_of(command) if setting.option]
    known += [f"--{argument.name}" for verb in VERBS.get(command, ()) for argument in verb.arguments if argument.option]
    if command in VERBS:
        near = difflib.get_close_matches(option, known, n=1)
        hint = f"; the nearest is {near[0]}" if near else f"; `{_PROGRAM} {command} --help` lists what it takes"
        raise ConfigError(f"{option} is not an option of {_PROGRAM} {command}{hint}.")
    raise ConfigError(f"{option} is not an option of {_PROGRAM} {command}{nearest(option, known)}.")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are `ConfigError`s, told in one place with all others."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message[:1].upper() + message[1:] + ".")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=_PROGRAM, description="Voice rooms on a server of one's own.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, summary in _SUMMARIES.items():
        part = commands.add_parser(
            command.value,
            help=summary,
            description=summary[:1].upper() + summary[1:] + ".",
            epilog=_epilog() if command in (Command.SERVE, Command.SETTINGS) else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if command in VERBS:
            _add_verbs(part, command)
        else:
            _add_settings(part, command)
    return parser


def _settings_of(command: Command) -> tuple[Setting, ...]:
    """The settings that a command takes as options."""
    if command is Command.VERSION:
        return ()
    return tuple(setting for setting in SETTINGS if command not in VERBS or setting.name in _SETTINGS_OF_VERBS)


def _add_settings(part: argparse.ArgumentParser, command: Command) -> None:
    for setting in _settings_of(command):
        if setting.option:
            metavar = re.sub(r"\W+", "_", setting.kind.name).upper()
            part.add_argument(setting.option, dest=setting.name, default=argparse.SUPPRESS, metavar=metavar, help=_help(setting))


def _add_verbs(part: argparse.ArgumentParser, command: Command) -> None:
    if [verb.name for verb in VERBS[command]] == [THE_ONLY_ONE]:
        _add_verb(part, command, VERBS[command][0])
        return
    verbs = part.add_subparsers(dest="verb", required=True, metavar="WHAT")
    for verb in VERBS[command]:
        summary = verb.summary[:1].upper() + verb.summary[1:] + "."
        _add_verb(verbs.add_parser(verb.name, help=verb.summary, description=summary, allow_abbrev=False), command, verb)


def _add_verb(part: argparse.ArgumentParser, command: Command, verb: Verb) -> None:
    for argument in verb.arguments:
        given: dict[str, Any] = {"help": argument.help, "type": argument.kind, "metavar": argument.name.upper()}
        if argument.choices is not None:
            given |= {"choices": argument.choices, "metavar": "|".join(argument.choices)}
        if argument.option:
            given |= {"required": argument.required, "default": argparse.SUPPRESS}
        part.add_argument(f"--{argument.name}" if argument.option else argument.name, **given)
    _add_settings(part, command)


def _help(setting: Setting) -> str:
    unit = f" [{setting.unit}]" if setting.unit else ""
    text = f"{setting.help}{unit} It takes {setting.kind.takes}; {setting.env}; default: {setting.default or 'empty'}."
    return text.replace("%", "%%")


def _epilog() -> str:
    lines = [_SOURCES, "Secrets have no option, as everybody on a machine can read the options of a process:"]
    lines += [f"  {setting.env:<20}{setting.help} Default: {setting.default}." for setting in SETTINGS if setting.secret]
    return "\n".join(lines)
