"""`weltenstimme import FILE`, as a person types it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.process import run, serving
from tests.storage.older import classic, dump, in_milliseconds


async def test_rows_are_taken_over_and_reported(tmp_path: Path) -> None:
    expected = in_milliseconds(tmp_path / "older.db", 1_000)
    first = await run("import", "older.db", folder=tmp_path)
    assert first.code == 0, first.err
    out = first.out
    assert out.startswith("older.db: ids and times in milliseconds\n")
    sessions = f"sessions: 1000 read: {expected.sessions} taken over, 0 here before, {expected.unreadable} unreadable"
    assert sessions in out
    assert f"duration: {expected.duration_seconds} s in the file, {expected.duration_seconds} s here" in out
    assert f"users: 102 read: {expected.users} taken over, 0 here before, 2 unreadable" in out
    assert f"actions: 204 read: {expected.actions} taken over, 0 here before, 4 unreadable" in out
    assert f"{expected.unended} sessions had no end" in out
    assert "20 users had a role that there is not here" in out
    assert f"unreadable, and left out ({expected.unreadable + 6}):" in out
    assert len(re.findall(r"^  voice_sessions, row \d+: \w", out, re.MULTILINE)) == expected.unreadable
    with closing(sqlite3.connect(tmp_path / "data" / "voice.db")) as db:
        assert db.execute("SELECT count(*) FROM voice_sessions").fetchone() == (expected.sessions,)
    again = await run("import", "older.db", folder=tmp_path)
    assert f"0 taken over, {expected.sessions} here before" in again.out
    assert "calls: 0 more than before" in again.out


async def test_what_was_taken_over_is_in_the_lists(tmp_path: Path) -> None:
    expected = classic(tmp_path / "older.db", 400)
    dump(tmp_path / "older.db", tmp_path / "older.sql")
    assert (await run("import", "older.sql", folder=tmp_path)).code == 0
    token = "t" * 40
    async with serving(folder=tmp_path, environment={"VOICE_API_TOKENS": token}) as server:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            sessions = await (await http.get(f"{server.url}api/admin/sessions?limit=1")).json()
            history = await (await http.get(f"{server.url}api/admin/call-history/energie?limit=200")).json()
            user = sessions["sessions"][0]["user_id"]
            profile = await (await http.get(f"{server.url}api/admin/user-profile/{user}")).json()
        assert sessions["total"] == expected.sessions
        assert sessions["sessions"][0]["source"] == "import"
        assert 0 < history["total"] == len(history["calls"])
        assert profile["user"]["total_calls"] >= 1
        refused = await run("import", "older.db", folder=tmp_path)
        assert refused.code == 1
        assert "Another server already works with" in refused.err
        assert (await server.stop()).code == 0


@pytest.mark.parametrize("name", ["nothing.db", "notes.txt"])
async def test_what_cannot_be_taken_over_changes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("milk, bread", encoding="utf-8")
    finished = await run("import", name, folder=tmp_path)
    assert (finished.code, finished.out) == (1, "")
    assert re.fullmatch(rf"weltenstimme: {name} cannot be taken over: it .*\. Nothing was changed\.\n", finished.err)


async def test_worlds_that_there_are_not_here_are_named(tmp_path: Path) -> None:
    in_milliseconds(tmp_path / "older.db", 50)
    finished = await run("import", "older.db", folder=tmp_path, environment={"VOICE_WORLDS": "materie"})
    assert re.search(r"worlds that VOICE_WORLDS does not name.*: energie$", finished.out, re.MULTILINE)


async def test_it_takes_a_file(tmp_path: Path) -> None:
    finished = await run("import", folder=tmp_path)
    assert (finished.code, finished.err) == (2, "weltenstimme: The following arguments are required: FILE.\n")
