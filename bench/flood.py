"""A flood against a server: `python -m bench.flood tokens http://127.0.0.1:8080/`. Prints what came back, as JSON.

Only against a server of one's own, on loopback. A process of its own, so that whoever measures meanwhile is not what is slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

import aiohttp

__all__ = ["main"]

CONNECTIONS: Final = 32
IN_FLIGHT: Final = 20
"""Requests that a connection sends before it reads an answer."""
SILENT: Final = 1000


async def bad_tokens(url: str, seconds: float) -> Counter[str]:
    """As many requests as go, each with a token that is none. By status."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    found: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def flood(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"GET /api/voice/rooms/materie HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer nonsense{number}\r\n\r\n"
        while time.monotonic() < until:
            writer.write(head.encode() * IN_FLIGHT)
            for _ in range(IN_FLIGHT):
                status, length = "", 0
                while (line := await reader.readline()) not in (b"\r\n", b""):
                    if not status:
                        status = line.split()[1].decode()
                    elif line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                await reader.readexactly(length)
                found[status] += 1
        writer.close()

    await asyncio.gather(*(flood(number) for number in range(CONNECTIONS)))
    return found


async def silent_sockets(url: str, seconds: float) -> Counter[str]:
    """A thousand WebSockets that say nothing. By what became of them."""
    found: Counter[str] = Counter()
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:

        async def be_silent() -> None:
            try:
                async with http.ws_connect("/api/ws", autoping=False) as socket:
                    try:
                        async with asyncio.timeout(seconds):
                            await socket.receive()
                    except TimeoutError:
                        pass
                    found[f"closed {socket.close_code}" if socket.closed else "open"] += 1
            except aiohttp.WSServerHandshakeError as problem:
                found[f"refused {problem.status}"] += 1

        await asyncio.gather(*(be_silent() for _ in range(SILENT)))
    return found


async def messages(url: str, seconds: float) -> Counter[str]:
    """WebSockets that send as many messages as go, and connect anew when they are closed; half of them read nothing."""
    found: Counter[str] = Counter()
    until = time.monotonic() + seconds
    frame = json.dumps({"type": "ping", "requestId": "x" * 60})
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:

        async def shout(reads: bool) -> None:
            while time.monotonic() < until:
                try:
                    async with http.ws_connect("/api/ws") as socket:
                        reading = asyncio.create_task(read(socket)) if reads else None
                        try:
                            while time.monotonic() < until and not socket.closed:
                                await socket.send_str(frame)
                                found["sent"] += 1
                                await asyncio.sleep(0)  # the other connections want to shout, too
                        except (ConnectionError, aiohttp.ClientError):
                            pass
                        if reading is not None:
                            await reading
                except aiohttp.WSServerHandshakeError as problem:
                    found[f"refused {problem.status}"] += 1
                    await asyncio.sleep(0.1)
                except (TimeoutError, aiohttp.ClientError):
                    found["lost"] += 1

        async def read(socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
            async for message in socket:
                kind = json.loads(message.data)["type"]
                found[kind] += 1
                if time.monotonic() > until:
                    break
            found[f"closed {socket.close_code}"] += 1

        await asyncio.gather(*(shout(number % 2 == 0) for number in range(CONNECTIONS)))
    return found


_FLOODS: Final = {"tokens": bad_tokens, "sockets": silent_sockets, "messages": messages}


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("kind", choices=sorted(_FLOODS))
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if urlsplit(options.url).hostname not in {"127.0.0.1", "::1", "localhost"}:
        sys.exit("bench: a flood is for a server on this machine only")
    found = asyncio.run(_FLOODS[options.kind](options.url, options.seconds))
    print(json.dumps(dict(found)))


if __name__ == "__main__":
    main()
