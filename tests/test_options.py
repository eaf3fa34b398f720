"""The command line."""

from __future__ import annotations

import pytest

from server.config import SETTINGS
from server.errors import ConfigError
from server.options import Command, CommandLine, parse


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], CommandLine(Command.SERVE)),
        (["serve"], CommandLine(Command.SERVE)),
        (["--port", "1"], CommandLine(Command.SERVE, {"port": "1"})),
        (["serve", "--media-port=2", "--guests", "false"], CommandLine(Command.SERVE, {"media_port": "2", "guests": "false"})),
        (["settings", "--worlds", "a,b"], CommandLine(Command.SETTINGS, {"worlds": "a,b"})),
        (["version"], CommandLine(Command.VERSION)),
        (["--version"], CommandLine(Command.VERSION)),
        (["token", "list"], CommandLine(Command.TOKEN, {}, "list")),
        (["token", "revoke", "x"], CommandLine(Command.TOKEN, {}, "revoke", {"token": "x"})),
        (
            ["token", "create", "--user", "a", "--worlds", "x,y", "--hours", "0.5", "--data-dir", "d"],
            CommandLine(Command.TOKEN, {"data_dir": "d"}, "create", {"user": "a", "worlds": "x,y", "hours": 0.5}),
        ),
        (["audit", "verify", "--noted", "h"], CommandLine(Command.AUDIT, {}, "verify", {"noted": "h"})),
        (["role", "set", "--user", "a", "--role", "admin"], CommandLine(Command.ROLE, {}, "set", {"user": "a", "role": "admin"})),
    ],
)
def test_what_is_asked_for(arguments: list[str], expected: CommandLine) -> None:
    assert parse(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prot", "1"], "--prot is not an option of weltenstimme serve; the nearest is --port."),
        (["serve", "--por=1"], "--por is not an option of weltenstimme serve; the nearest is --port."),
        (["serve", "geheim"], "weltenstimme serve takes options only; the first word that is none is 'geheim'."),
        (["--port"], "Argument --port: expected one argument."),
        (["dance"], "Argument COMMAND: invalid choice: 'dance' (choose from " + ", ".join(Command) + ")."),
        (
            ["version", "--port", "1"],
            "--port is not an option of weltenstimme version; `weltenstimme serve --help` lists them all.",
        ),
        (["token"], "The following arguments are required: WHAT."),
        (["token", "create", "--usr", "x"], "--usr is not an option of weltenstimme token; the nearest is --user."),
        (
            ["token", "list", "--qqqq", "1"],
            "--qqqq is not an option of weltenstimme token; `weltenstimme token --help` lists what it takes.",
        ),
        (["token", "create", "--hours", "-1"], "Argument --hours: it takes a number above 0, at most 876000."),
        (["role", "set", "--user", "a"], "The following arguments are required: --role."),
    ],
)
def test_what_is_not_understood(arguments: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(arguments)
    # The words of the standard library differ a little between versions of Python.
    assert str(caught.value).replace("'", "") == sentence.replace("'", "")


@pytest.mark.parametrize(
    "arguments", [["--api-tokens", "hunter2"], ["serve", "--api-tokens=hunter2"], ["--jwt-secret", "hunter2"]]
)
def test_a_secret_is_not_taken_from_an_option_and_not_repeated(arguments: list[str]) -> None:
    with pytest.raises(
        ConfigError, match=r"is not an option: a secret is given as VOICE_\w+, in the environment or in \.env\.$"
    ) as caught:
        parse(arguments)
    assert "hunter2" not in str(caught.value)


def test_help_names_every_setting_with_its_default(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as stopped:
        parse(["serve", "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for setting in SETTINGS:
        assert setting.env in text
        assert setting.help in text
        assert (setting.default or "empty") in text
        assert (setting.option is None) == setting.secret
