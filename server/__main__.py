"""The program: `weltenstimme serve`, `settings`, `token` and the other commands; `python -m server` is the same.

Exit codes: 0 all went well (a server that was asked to stop included), 1 the server could not start, 2 a setting or an option
is wrong.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from server import config, data_folder, logs, options, resources, secrets
from server.config import Settings
from server.errors import ConfigError
from server.options import Command, CommandLine
from server.voice.ports import StoreError

__all__ = ["AccessLogger", "main"]

logger = logging.getLogger("server")
_access_logger = logging.getLogger("server.access")

_LISTEN_BACKLOG: Final = 512


class CannotStart(Exception):
    """Something that the server needs is taken or missing. The text says what, to the operator."""


class AccessLogger(AbstractAccessLogger):
    """One line a request: method, path, status, bytes, milliseconds. No query, header or address: they can hold secrets."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Writes the line; `time` is in seconds."""
        self.logger.info(
            "%s %s %d %d B %.1f ms", request.method, request.rel_url.raw_path, response.status, response.body_length, time * 1000
        )

    @property
    def enabled(self) -> bool:
        """Whether a line would be written at all."""
        return self.logger.isEnabledFor(logging.INFO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program with the given arguments (those of the process when None); returns its exit code."""
    try:
        line = options.parse(sys.argv[1:] if arguments is None else arguments)
        if line.command is Command.VERSION:
            print(f"weltenstimme {resources.version()}")
            return 0
        settings = config.load(line.options, os.environ, config.read_env_file(Path(".env")))
        if line.command is Command.SETTINGS:
            print(_table(settings))
            return 0
        if line.command is not Command.SERVE:
            return _run_command(settings, line)
        return _serve(settings)
    except ConfigError as problem:
        print(f"weltenstimme: {problem}", file=sys.stderr)
        return 2
    except (CannotStart, StoreError, data_folder.InUse) as problem:
        print(f"weltenstimme: {problem}", file=sys.stderr)
        return 1


def _run_command(settings: Settings, line: CommandLine) -> int:
    """Runs what works beside a server, and on the same database."""
    from server.commands import audit, bench, import_older, role, token  # noqa: PLC0415 - `serve` and `--help` need not load them

    commands = {
        Command.TOKEN: token.run,
        Command.ROLE: role.run,
        Command.AUDIT: audit.run,
        Command.IMPORT: import_older.run,
        Command.BENCH: bench.run,
    }
    return commands[line.command](settings, line)


def _table(settings: Settings) -> str:
    """The settings in force, one a line, as they could stand in `.env`; secrets only as given or not."""
    lines = []
    for setting in config.SETTINGS:
        value = getattr(settings, setting.name)
        text = config.shown(value)
        if setting.secret:
            text = "(given)" if value else f"({setting.default})"
        lines.append(f"{setting.env}={text}" + (f"  [{setting.unit}]" if setting.unit else ""))
    return "\n".join(lines)


def _serve(settings: Settings) -> int:
    logs.configure(settings.log_level)
    data_folder.make(settings)
    provided = secrets.provide(settings)
    # The address and the database are taken before anything reads or writes a row: a second start must not disturb a first.
    listening = _listen(settings)
    try:
        with data_folder.sole_use(settings.database):
            asyncio.run(_run(provided, listening))
            logger.info("stopped")
    finally:
        for taken in listening:
            taken.close()
    return 0


def _listen(settings: Settings) -> list[socket.socket]:
    """Sockets on every address that the host name stands for. Raises `CannotStart` where the port cannot be had."""
    where = f"{_in_url(settings.host)}:{settings.port} (VOICE_HOST, VOICE_PORT)"
    taken: list[socket.socket] = []
    port = settings.port
    try:
        found = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in {entry[0]: entry[4][0] for entry in found}.items():
            both = address == "::" and socket.has_dualstack_ipv6()
            taken.append(socket.create_server((str(address), port), family=family, backlog=_LISTEN_BACKLOG, dualstack_ipv6=both))
            port = taken[0].getsockname()[1]  # a port that the system chose is the same for each family
    except socket.gaierror as problem:
        raise CannotStart(f"The host of {where} is not known here: {problem.strerror}.") from None
    except OSError as problem:
        # A name such as localhost may stand for an address of a family that this machine has switched off.
        if taken and problem.errno == errno.EADDRNOTAVAIL:
            return taken
        for listening in taken:
            listening.close()
        if problem.errno == errno.EADDRINUSE:
            raise CannotStart(f"The address {where} is already in use; stop what uses it, or choose another port.") from None
        raise CannotStart(f"The address {where} cannot be used: {os.strerror(problem.errno or 0)}.") from None
    return taken


async def _run(provided: secrets.Provided, listening: Sequence[socket.socket]) -> None:
    """Runs the server until SIGINT or SIGTERM. Raises `CannotStart`."""
    from server.app import create_app  # noqa: PLC0415 - `version` and `--help` need not load what serves

    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(
        await create_app(provided.settings), handle_signals=False, access_log_class=AccessLogger, access_log=_access_logger
    )
    try:
        try:
            await runner.setup()
        except OSError as problem:
            raise CannotStart(
                f"The server cannot start: {problem}; audio is received as VOICE_MEDIA_HOST and VOICE_MEDIA_PORT say."
            ) from None
        for taken in listening:
            await web.SockSite(runner, taken).start()
        print(_greeting(provided, listening[0]), flush=True)
        logger.info("version %s serves", resources.version())
        await stopping.wait()
        logger.info("stopping")
        # Who asks a second time does not want to wait for the orderly end.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)
    finally:
        await runner.cleanup()


def _greeting(provided: secrets.Provided, listening: socket.socket) -> str:
    """What the operator reads first. A token goes to a terminal only, as everything else may be kept, unless it is asked for."""
    host, port = listening.getsockname()[:2]
    page = f"http://{_in_url('localhost' if host in {'0.0.0.0', '::'} else host)}:{port}/"  # noqa: S104 - compared, not bound
    kept = provided.settings.data_dir / secrets.FILE_NAME
    if provided.generated_api_token is None:
        how_to_get_in = "as set in VOICE_API_TOKENS"
    elif provided.settings.print_token or sys.stdout.isatty():
        how_to_get_in = provided.generated_api_token
    else:
        how_to_get_in = f"api_token in {kept}"
    return f"Weltenstimme {resources.version()}\n  Rooms: {page}\n  Admin: {page}admin\n  Token: {how_to_get_in}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    raise SystemExit(main())
