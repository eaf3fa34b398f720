"""Janus, where it is installed: `janus` of Debian with the VideoRoom plugin, audio only, on loopback.

The configuration is made for the run. Two things are needed for loopback: `ice_enforce_list`, and a few lines of C, compiled at
run time and preloaded, which take the loopback flag off what `getifaddrs` says, as libnice leaves such interfaces out. Janus is
ICE-lite here, so that our clients do the checking, as they do with our server. Each participant has two connections, as the
VideoRoom has it: one that publishes, one that subscribes to everyone else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.others.full_peer import FullPeer
from bench.processes import CpuClock, free_port, on_cores, stop_process, tail

__all__ = ["Janus", "NotInstalled", "janus"]

_READY_SECONDS: Final = 20.0
_ANSWER_SECONDS: Final = 10.0
_SHIM: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
int getifaddrs(struct ifaddrs **list) {
    int (*original)(struct ifaddrs **) = (int (*)(struct ifaddrs **))dlsym(RTLD_NEXT, "getifaddrs");
    int status = original(list);
    for (struct ifaddrs *entry = status == 0 ? *list : 0; entry; entry = entry->ifa_next)
        entry->ifa_flags &= ~IFF_LOOPBACK;
    return status;
}
"""
_CONFIGURATION: Final = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    events_folder = "{folder}/events"
    loggers_folder = "{folder}/loggers"
    debug_level = 2
    debug_colors = false
    session_timeout = 0
    {event_loops}
}}
media: {{ ipv6 = false }}
nat: {{
    ice_lite = true
    ice_enforce_list = "127.0.0.1"
}}
"""
_WEBSOCKETS: Final = """
general: {{
    ws = true
    ws_ip = "127.0.0.1"
    ws_port = {port}
    wss = false
}}
admin: {{ admin_ws = false }}
"""


class NotInstalled(Exception):
    """What a run needs is not on this machine; the text says what."""


class Janus:
    """A Janus that runs, and the one signalling connection to it."""

    def __init__(self, pid: int, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.cpu = CpuClock(pid)
        self._socket = connection
        self._transactions = 0
        self._session = 0

    async def open_session(self) -> None:
        """To be done first."""
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]

    async def create_room(self, room: int, size: int) -> None:
        """A room for so many publishers, audio only, levels passed on as our server does."""
        handle = await self._attach()
        body = {"request": "create", "room": room, "publishers": size, "audiocodec": "opus", "audiolevel_ext": True}
        answer = await self._message(handle, body)
        if answer["plugindata"]["data"].get("videoroom") != "created":
            raise RuntimeError(f"Janus made no room: {answer['plugindata']['data']}")

    async def publish(self, room: int, feed: int, peer: FullPeer) -> None:
        """Join as publisher; the peer can connect then. Raises RuntimeError."""
        handle = await self._attach()
        _ = await self._message(handle, {"request": "join", "ptype": "publisher", "room": room, "id": feed})
        offer = {"type": "offer", "sdp": peer.create_full_offer()}
        answer = await self._message(handle, {"request": "publish"}, jsep=offer)
        peer.set_answer(answer["jsep"]["sdp"])

    async def subscribe(self, room: int, feeds: list[int], peer: FullPeer) -> None:
        """Join as subscriber of these publishers, who are connected; the peer can connect then. Raises RuntimeError."""
        handle = await self._attach()
        streams = [{"feed": feed} for feed in feeds]
        offered = await self._message(handle, {"request": "join", "ptype": "subscriber", "room": room, "streams": streams})
        answer = {"type": "answer", "sdp": peer.answer_offer(offered["jsep"]["sdp"])}
        _ = await self._message(handle, {"request": "start"}, jsep=answer)

    async def _attach(self) -> int:
        request = {"janus": "attach", "session_id": self._session, "plugin": "janus.plugin.videoroom"}
        return int((await self._ask(request))["data"]["id"])

    async def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> dict[str, Any]:
        request = {"janus": "message", "session_id": self._session, "handle_id": handle, "body": body}
        answer = await self._ask(request | ({} if jsep is None else {"jsep": jsep}))
        if "error" in answer.get("plugindata", {}).get("data", {}):
            raise RuntimeError(f"Janus refused {body['request']}: {answer['plugindata']['data']['error']}")
        return answer

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request at a time: the answer to it is the next message with its transaction that is no mere receipt."""
        self._transactions += 1
        transaction = str(self._transactions)
        await self._socket.send_json(request | {"transaction": transaction})
        async with asyncio.timeout(_ANSWER_SECONDS):
            while True:
                answer: dict[str, Any] = await self._socket.receive_json()
                if answer.get("transaction") != transaction or answer["janus"] == "ack":
                    continue
                if answer["janus"] == "error":
                    raise RuntimeError(f"Janus refused {request['janus']}: {answer['error']['reason']}")
                return answer


@contextlib.asynccontextmanager
async def janus(folder: Path, cores: frozenset[int], *, event_loops: int) -> AsyncIterator[Janus]:
    """A Janus on these cores, with files in `folder`; stopped when the block ends.

    `event_loops` is its setting of that name, 0 for a thread for each connection. Raises NotInstalled, and RuntimeError where it
    does not come up.
    """
    program, libraries, compiler = shutil.which("janus"), _libraries(), shutil.which("gcc") or shutil.which("cc")
    if program is None or libraries is None:
        raise NotInstalled("Janus with its VideoRoom plugin is not installed (apt-get install janus)")
    if compiler is None:
        raise NotInstalled("there is no C compiler for what loopback needs (apt-get install gcc libc6-dev)")
    port = free_port(socket.SOCK_STREAM)
    _write(folder, libraries, port, event_loops)
    shim = _compile(folder, compiler)
    log = folder / "janus.log"
    with log.open("wb") as output, on_cores(cores):
        process = await asyncio.create_subprocess_exec(
            program, "-F", str(folder), cwd=folder, env=os.environ | {"LD_PRELOAD": str(shim)}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as http:
            connection = await _connect(http, port, process, log)
            async with connection:
                running = Janus(process.pid, connection)
                await running.open_session()
                yield running
    finally:
        await stop_process(process)


async def _connect(
    http: aiohttp.ClientSession, port: int, process: asyncio.subprocess.Process, log: Path
) -> aiohttp.ClientWebSocketResponse:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(aiohttp.ClientError):
            return await http.ws_connect(f"ws://127.0.0.1:{port}/", protocols=("janus-protocol",), max_msg_size=0)
        await asyncio.sleep(0.05)
    raise RuntimeError(f"Janus did not come up (exit status {process.returncode}):\n{tail(log)}")


def _libraries() -> Path | None:
    """Where Janus has its plugins, None where there are none."""
    for root in (Path("/usr/lib"), Path("/usr/local/lib"), Path("/opt/janus/lib")):
        for plugin in (*root.glob("janus/plugins/libjanus_videoroom.so"), *root.glob("*/janus/plugins/libjanus_videoroom.so")):
            return plugin.parent.parent
    return None


def _write(folder: Path, libraries: Path, port: int, event_loops: int) -> None:
    for kind, name in (("plugins", "videoroom"), ("transports", "websockets")):
        (folder / kind).mkdir()
        (folder / kind / f"libjanus_{name}.so").symlink_to(libraries / kind / f"libjanus_{name}.so")
    for kind in ("events", "loggers"):
        (folder / kind).mkdir()
    loops = f"event_loops = {event_loops}" if event_loops else ""
    (folder / "janus.jcfg").write_text(_CONFIGURATION.format(folder=folder, event_loops=loops))
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: {}\n")


def _compile(folder: Path, compiler: str) -> Path:
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(_SHIM)
    done = subprocess.run(  # noqa: S603 - a compiler found on the path, a source of our own
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotInstalled(f"what loopback needs does not compile: {done.stderr.strip()[-500:]}")
    return library
