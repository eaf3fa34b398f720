"""The program: commands, exit codes, what it prints, how it starts and stops."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import server.__main__ as program
from server import resources, secrets
from server.config import Settings
from tests.process import run, serving

TOKEN = "given-by-the-operator-0123456789"


class TestCommands:
    """What ends by itself."""

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main(["version"]) == 0
        assert capsys.readouterr().out == f"weltenstimme {resources.version()}\n"

    def test_settings_in_force_without_secrets(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env").write_text(f"VOICE_API_TOKENS={TOKEN}\nVOICE_WORLDS=a,b\n")
        monkeypatch.setenv("VOICE_MAX_PARTICIPANTS", "5")
        assert program.main(["settings", "--port", "9000"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert {"VOICE_PORT=9000", "VOICE_MAX_PARTICIPANTS=5  [people]", "VOICE_SLOTS=4  [people]", "VOICE_WORLDS=a,b"} <= set(
            lines
        )
        assert "VOICE_API_TOKENS=(given)" in lines
        assert "VOICE_JWT_SECRET=(generated once, kept in the data folder)" in lines
        assert list(tmp_path.iterdir()) == [tmp_path / ".env"]

    async def test_wrong_settings_end_in_one_sentence(self, tmp_path: Path) -> None:
        finished = await run("--port", "0", folder=tmp_path, environment={"VOICE_PROT": "1"})
        sentence = "weltenstimme: VOICE_PROT in the environment is not a setting; the nearest is VOICE_PORT.\n"
        assert (finished.code, finished.out, finished.err) == (2, "", sentence)
        (tmp_path / ".env").write_text("VOICE_JWT_SECRET=hunter2\n")
        finished = await run("serve", folder=tmp_path)
        sentence = "weltenstimme: VOICE_JWT_SECRET in .env is too short; it takes a secret of at least 32 bytes.\n"
        assert (finished.code, finished.out, finished.err) == (2, "", sentence)
        assert os.listdir(tmp_path) == [".env"]


class TestServing:
    """A server as a process."""

    async def test_it_says_where_it_is_serves_and_stops(self, tmp_path: Path) -> None:
        async with serving(folder=tmp_path) as process, aiohttp.ClientSession(process.url) as http:
            async with http.get("/api/health?token=hunter2") as answer:
                assert (answer.status, (await answer.json())["version"]) == (200, resources.version())
            async with http.get("/admin") as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
            assert f"\n  Admin: {process.url}admin\n" in process.greeting
            finished = await process.stop()
        assert finished.code == 0
        kept = json.loads((tmp_path / "data" / secrets.FILE_NAME).read_text())
        # Its output is not a terminal here, so it may be kept by somebody: the token is named, not shown.
        assert f"Token: api_token in data/{secrets.FILE_NAME}\n" in finished.out
        assert re.search(r"^\S+Z INFO server\.access GET /api/health 200 \d+ B \d+\.\d ms$", finished.err, re.MULTILINE)
        for secret in ("hunter2", *kept.values()):
            assert secret not in finished.out + finished.err
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    async def test_it_stops_in_order_when_asked(self, tmp_path: Path, how: signal.Signals) -> None:
        async with serving(folder=tmp_path, environment={"VOICE_API_TOKENS": TOKEN}) as process:
            assert "Token: as set in VOICE_API_TOKENS\n" in process.greeting
            finished = await process.stop(how)
        assert finished.code == 0
        assert finished.err.splitlines()[-1].endswith("INFO server stopped")
        assert TOKEN not in finished.out + finished.err
        assert "Traceback" not in finished.err

    async def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            finished = await run("--port", str(port), folder=tmp_path)
        assert (finished.code, finished.out) == (1, "")
        assert finished.err == (
            f"weltenstimme: The address 127.0.0.1:{port} (VOICE_HOST, VOICE_PORT) is already in use; "
            "stop what uses it, or choose another port.\n"
        )

    async def test_a_media_port_that_is_taken(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            finished = await run("--port=0", f"--media-port={port}", "--media-host=127.0.0.1", folder=tmp_path)
        assert (finished.code, finished.out) == (1, "")
        last = finished.err.splitlines()[-1]
        assert last.startswith("weltenstimme: ")
        assert "VOICE_MEDIA_PORT" in last
        assert "Traceback" not in finished.err

    async def test_a_second_server_does_not_touch_the_stays_of_the_first(self, tmp_path: Path) -> None:
        async with serving(folder=tmp_path):
            second = await run("--port=0", "--media-port=0", folder=tmp_path)
            assert (second.code, second.out) == (1, "")
            assert second.err.startswith("weltenstimme: Another server already works with data/voice.db; ")


class TestListening:
    """The sockets of the pages."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
    def test_each_address_of_a_host_gets_the_same_port(self, host: str) -> None:
        listening = program._listen(Settings(host=host, port=0))
        try:
            assert len({taken.getsockname()[1] for taken in listening}) == 1
            with socket.create_connection(("127.0.0.1", listening[-1].getsockname()[1]), timeout=5):
                pass
        finally:
            for taken in listening:
                taken.close()

    def test_a_host_that_is_not_known(self) -> None:
        with pytest.raises(
            program.CannotStart, match=r"^The host of nowhere\.invalid:0 \(VOICE_HOST, VOICE_PORT\) is not known here"
        ):
            program._listen(Settings(host="nowhere.invalid", port=0))

    def test_an_address_of_another_machine(self) -> None:
        with pytest.raises(
            program.CannotStart, match=r"^The address 203\.0\.113\.7:0 \(VOICE_HOST, VOICE_PORT\) cannot be used: "
        ):
            program._listen(Settings(host="203.0.113.7", port=0))


class TestGreeting:
    """What the operator reads first."""

    @pytest.mark.parametrize(
        ("host", "family", "page"),
        [
            ("127.0.0.1", socket.AF_INET, "http://127.0.0.1:{}/"),
            ("0.0.0.0", socket.AF_INET, "http://localhost:{}/"),
        ],
    )
    def test_the_token_that_was_made_is_shown_on_a_terminal_only(
        self, host: str, family: socket.AddressFamily, page: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provided = secrets.Provided(Settings(), generated_api_token=TOKEN)
        with socket.create_server((host, 0), family=family) as listening:
            address = page.format(listening.getsockname()[1])
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
            shown = program._greeting(provided, listening)
            monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
            hidden = program._greeting(provided, listening)
            asked_for = secrets.Provided(Settings(print_token=True), generated_api_token=TOKEN)
            assert program._greeting(asked_for, listening) == shown
        assert shown.splitlines()[1:] == [f"  Rooms: {address}", f"  Admin: {address}admin", f"  Token: {TOKEN}"]
        assert TOKEN not in hidden
        assert str(Path("data") / secrets.FILE_NAME) in hidden


async def test_an_access_line_has_no_query_and_no_line_break(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="four")

    app = web.Application()
    app.router.add_get("/{name}", answer)
    access = logging.getLogger("server.access")
    runner = web.AppRunner(app, access_log_class=program.AccessLogger, access_log=access)
    await runner.setup()
    try:
        with caplog.at_level(logging.INFO, logger="server.access"):
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with aiohttp.ClientSession() as http:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/a%0Ab?token=hunter2"
                async with http.get(url, headers={"Authorization": "Bearer hunter2"}) as response:
                    assert await response.text() == "four"
    finally:
        await runner.cleanup()
    [message] = caplog.messages
    assert re.fullmatch(r"GET /a%0Ab 200 \d+ B \d+\.\d ms", message)


def test_environment_of_tests_has_no_settings() -> None:
    assert not [name for name in os.environ if name.startswith("VOICE_")]
