"""The command line: its commands and the options that the table of settings gives it. Nothing runs here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

from server.config import SETTINGS, Setting, nearest
from server.errors import ConfigError

__all__ = ["Command", "CommandLine", "parse"]

_PROGRAM: Final = "weltenstimme"
_SOURCES: Final = (
    "Every setting can also be given in the environment or in a file .env in the folder where the server starts, "
    "under its name VOICE_…. An option beats the environment, the environment beats .env."
)


class Command(StrEnum):
    """What the program is asked for."""

    SERVE = "serve"
    SETTINGS = "settings"
    VERSION = "version"


_SUMMARIES: Final = {
    Command.SERVE: "start the server (also without naming a command)",
    Command.SETTINGS: "show the settings in force, without the secrets",
    Command.VERSION: "show the version",
}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was asked for. `options` is keyed by setting name and holds what was given, as text."""

    command: Command
    options: dict[str, str] = field(default_factory=dict)


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
    return CommandLine(command, values)


def _refuse(unknown: Sequence[str], command: Command) -> NoReturn:
    option = next((word.partition("=")[0] for word in unknown if word.startswith("--")), None)
    if option is None:
        raise ConfigError(f"{_PROGRAM} {command} takes options only; the first word that is none is {unknown[0]!r}.")
    for setting in SETTINGS:
        if setting.secret and option == "--" + setting.name.replace("_", "-"):
            raise ConfigError(f"{option} is not an option: a secret is given as {setting.env}, in the environment or in .env.")
    known = [setting.option for setting in SETTINGS if setting.option] if command is not Command.VERSION else []
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
            epilog=_epilog() if command is not Command.VERSION else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if command is not Command.VERSION:
            for setting in SETTINGS:
                if setting.option:
                    metavar = re.sub(r"\W+", "_", setting.kind.name).upper()
                    part.add_argument(
                        setting.option, dest=setting.name, default=argparse.SUPPRESS, metavar=metavar, help=_help(setting)
                    )
    return parser


def _help(setting: Setting) -> str:
    unit = f" [{setting.unit}]" if setting.unit else ""
    text = f"{setting.help}{unit} It takes {setting.kind.takes}; {setting.env}; default: {setting.default or 'empty'}."
    return text.replace("%", "%%")


def _epilog() -> str:
    lines = [_SOURCES, "Secrets have no option, as everybody on a machine can read the options of a process:"]
    lines += [f"  {setting.env:<20}{setting.help} Default: {setting.default}." for setting in SETTINGS if setting.secret]
    return "\n".join(lines)
