"""The limit of this machine: set, measured, or neither."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from server import capacity
from server.errors import ConfigError
from tests.support import MakeSettings, ServerFactory


def test_neither_set_nor_measured(make_settings: MakeSettings) -> None:
    assert capacity.packet_limit(make_settings()) is None


def test_measured_and_overruled(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings()
    (settings.data_dir / capacity.FILE_NAME).write_text('{"packets_per_second": 72000, "p99_ms": 1.5}')
    assert capacity.packet_limit(settings) == 72_000
    assert capacity.packet_limit(make_settings(capacity_packets=500)) == 500


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packets_per_second": 0}', '{"packets_per_second": true}', "\xff"])
def test_a_file_that_cannot_be_used_is_named(make_settings: MakeSettings, text: str) -> None:
    settings = make_settings()
    path = settings.data_dir / capacity.FILE_NAME
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"capacity\.json"):
        capacity.packet_limit(settings)


async def test_a_full_machine_says_so_and_when_to_come_back(start_server: ServerFactory) -> None:
    server = await start_server(capacity_packets=300)
    async with aiohttp.ClientSession(server.url, headers=server.headers) as http:
        statuses = []
        for number in range(4):
            body = {"room_id": "r", "user_id": f"u{number}", "username": "U", "world": "materie"}
            async with http.post("/api/voice/join", json=body) as answer:
                statuses.append(answer.status)
                if answer.status != 200:
                    assert (await answer.json())["error"] == "Server at capacity"
                    assert int(answer.headers["Retry-After"]) > 0
        async with http.get("/api/health") as answer:
            load = (await answer.json())["load"]
    # the second may add 50 packets a second, the third 100, and a room of two has a voice to one listener by then
    assert statuses == [200, 200, 200, 503]
    assert load["capacity_packets_per_second"] == 300
    assert {"packets_per_second", "loop_lag_p99_ms", "database_write_p99_ms", "tasks"} <= load.keys()
