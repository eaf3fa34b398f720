"""`weltenstimme token`, `role` and `audit`, beside a server that runs on the same database."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from server import config
from server.__main__ import main
from server.config import Settings
from tests.process import run
from tests.support import MakeSettings, RunningServer

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> Call:
    """Runs a command on the data of `settings`, with its secrets: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for setting in config.SETTINGS:
        if setting.name in {"data_dir", "api_tokens", "jwt_secret"}:
            monkeypatch.setenv(setting.env, config.shown(getattr(settings, setting.name)))

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def test_a_user_token_has_the_claims_that_were_asked_for(call: Call, settings: Settings) -> None:
    code, out, err = call(
        "token", "create", "--user", "anna", "--name", "Anna", "--role", "moderator", "--worlds", "materie", "--rooms", "a, b"
    )
    token = out.strip()
    assert (code, out) == (0, f"{token}\n")
    claims = jwt.decode(token, settings.jwt_secret, algorithms=["HS256"], audience="weltenstimme:user")
    assert {name: claims[name] for name in ("sub", "name", "role", "worlds", "rooms")} == {
        "sub": "anna",
        "name": "Anna",
        "role": "moderator",
        "worlds": ["materie"],
        "rooms": ["a", "b"],
    }
    assert 23.9 * 3600 < claims["exp"] - claims["iat"] <= 24 * 3600 + 1
    assert claims["jti"] in err
    assert token not in err
    [line] = call("token", "list")[1].splitlines()
    assert line.split("\t")[:3] == ["user", claims["jti"], "valid"]
    assert line.split("\t")[5:] == ["anna", "moderator"]


def test_of_an_api_token_only_a_hash_is_kept(call: Call, settings: Settings) -> None:
    code, out, _ = call("token", "create", "--api", "ci")
    assert code == 0
    kept = b"".join(path.read_bytes() for path in settings.database.parent.glob("voice.db*"))
    assert out.strip().encode() not in kept
    assert call("token", "create", "--api", "ci") == (
        2,
        "",
        "weltenstimme: There is, or was, an API token 'ci'; choose another label.\n",
    )


def test_what_is_revoked_stays_revoked_and_is_listed(call: Call) -> None:
    call("token", "create", "--api", "ci")
    assert call("token", "revoke", "ci")[0] == 0
    assert call("token", "revoke", "ci") == (1, "", "ci was revoked before.\n")
    assert "not made here" in call("token", "revoke", "of another backend")[2]
    states = {line.split("\t")[1]: line.split("\t")[2] for line in call("token", "list")[1].splitlines()}
    assert {name: state.split()[0] for name, state in states.items()} == {"ci": "revoked", "of another backend": "revoked"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "weltenstimme token create takes either --user or --api."),
        (("--user", "a", "--api", "b"), "weltenstimme token create takes either --user or --api."),
        (("--api", "b", "--role", "admin"), "--role goes with --user: an API token may do everything, until it is revoked."),
        (("--api", "a b"), "--api takes a label of 1 to 64 letters, digits, dots, dashes and underscores, but no UUID."),
        (
            ("--api", "9b2f0c1e-55a4-4f0e-8f2b-0f6b1c2d3e4f"),
            "--api takes a label of 1 to 64 letters, digits, dots, dashes and underscores, but no UUID.",
        ),
        (("--user", "a", "--worlds", "nowhere"), "--worlds names 'nowhere', which is none of VOICE_WORLDS."),
        (("--user", "a", "--rooms", "x,,y"), "--rooms cannot be used: empty."),
        (("--user", " "), "--user cannot be used: empty."),
    ],
)
def test_what_cannot_be_made(call: Call, arguments: tuple[str, ...], sentence: str) -> None:
    assert call("token", "create", *arguments) == (2, "", f"weltenstimme: {sentence}\n")


def test_a_role_is_given_and_taken(call: Call, settings: Settings) -> None:
    assert call("role", "set", "--user", "anna", "--role", "moderator", "--rooms", "lobby")[0] == 0
    assert user(settings, "anna") == ("moderator", None, '["lobby"]')
    assert call("role", "set", "--user", "anna", "--role", "user")[0] == 0
    assert user(settings, "anna") == ("user", None, None)


def user(settings: Settings, user_id: str) -> Any:
    with closing(sqlite3.connect(settings.database)) as db:
        return db.execute("SELECT role, role_worlds, role_rooms FROM users WHERE user_id = ?", (user_id,)).fetchone()


async def test_a_running_server_feels_it_without_a_restart(server: RunningServer) -> None:
    folder = server.settings.data_dir
    environment = {"VOICE_DATA_DIR": str(folder), "VOICE_JWT_SECRET": server.settings.jwt_secret}

    async def command(*arguments: str) -> str:
        finished = await run(*arguments, folder=folder, environment=environment)
        assert finished.code == 0, finished.err
        return finished.out.strip()

    async def status(http: aiohttp.ClientSession, token: str) -> int:
        async with http.get("/api/voice/rooms/materie", headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status

    async def becomes(http: aiohttp.ClientSession, token: str, expected: int) -> None:
        async with asyncio.timeout(2):
            while await status(http, token) != expected:  # noqa: ASYNC110 - another process sends us no event
                await asyncio.sleep(0.02)

    first, second = await command("token", "create", "--api", "one"), await command("token", "create", "--api", "two")
    user_token = await command("token", "create", "--user", "anna")
    async with aiohttp.ClientSession(server.url) as http:
        for token in (first, second, user_token, server.api_token):
            await becomes(http, token, 200)
        await command("token", "revoke", "one")
        await command("token", "revoke", jwt.decode(user_token, options={"verify_signature": False})["jti"])
        await becomes(http, first, 401)
        await becomes(http, user_token, 401)
        assert [await status(http, token) for token in (second, server.api_token)] == [200, 200]


async def test_revocations_outlast_a_restart(make_settings: MakeSettings, start_server: Any) -> None:
    settings = make_settings()
    finished = await run(
        "token",
        "create",
        "--user",
        "anna",
        folder=settings.data_dir,
        environment={"VOICE_DATA_DIR": str(settings.data_dir), "VOICE_JWT_SECRET": settings.jwt_secret},
    )
    token = finished.out.strip()
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    await run("token", "revoke", jti, folder=settings.data_dir, environment={"VOICE_DATA_DIR": str(settings.data_dir)})
    same = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    server = await start_server(**same)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as http, http.get("/api/voice/rooms/materie") as answer:
        assert answer.status == 401


async def test_audit_verify_beside_a_running_server(server: RunningServer) -> None:
    folder = server.settings.data_dir
    environment = {"VOICE_DATA_DIR": str(folder)}
    async with aiohttp.ClientSession(server.url, headers=server.headers) as http:
        for target in ("ben", "eva", "max"):
            body = {"action_type": "ban", "target_user_id": target, "world": "materie"}
            async with http.post("/api/admin/actions", json=body) as answer:
                assert answer.status == 200
    whole = await run("audit", "verify", folder=folder, environment=environment)
    assert whole.code == 0
    assert "3 rows" in whole.out
    head = whole.out.strip().rstrip(".").split()[-1]
    assert (await run("audit", "verify", "--noted", head, folder=folder, environment=environment)).code == 0
    anew = await run("audit", "verify", "--noted", "0" * 64, folder=folder, environment=environment)
    assert (anew.code, anew.err) == (1, f"The moderation log was written anew: no row has the hash {'0' * 64}.\n")
    with closing(sqlite3.connect(server.settings.database, isolation_level=None)) as db:
        db.execute("DROP TRIGGER admin_actions_stay")
        db.execute("UPDATE admin_actions SET target_user_id = 'eve' WHERE id = 2")
    found = await run("audit", "verify", folder=folder, environment=environment)
    assert (found.code, found.err) == (1, "The moderation log was changed: row 2 is not as it was written.\n")
