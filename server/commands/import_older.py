"""`weltenstimme import FILE`: the rows of an older version, taken over."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server import data_folder
from server.commands.database import with_database
from server.config import Settings
from server.options import CommandLine
from server.storage.older_file import UnusableFile
from server.storage.older_import import ImportReport, import_file

__all__ = ["run"]

_NAMES: Final = {"voice_sessions": "sessions", "users": "users", "admin_actions": "actions"}


def run(settings: Settings, line: CommandLine) -> int:
    """0 where everything that can be read was taken over, 1 where nothing was. No server may run meanwhile: people would have to
    wait for it at the door.
    """
    path = Path(line.arguments["file"])

    data_folder.make(settings)
    try:
        with data_folder.sole_use(settings.database):
            report = with_database(settings, lambda database: import_file(database, path, datetime.now(UTC)))
    except UnusableFile as problem:
        print(f"weltenstimme: {path} cannot be taken over: {problem}. Nothing was changed.", file=sys.stderr)
        return 1
    print("\n".join(_lines(report, path, settings.worlds)))
    return 0


def _lines(report: ImportReport, path: Path, worlds: tuple[str, ...]) -> list[str]:
    lines = [f"{path}: {report.kind}"]
    for table, name in _NAMES.items():
        if (taken := report.tables.get(table)) is not None:
            counts = f"{taken.added} taken over, {taken.known} here before, {taken.unreadable} unreadable"
            lines.append(f"  {name}: {taken.read} read: {counts}")
    (file_duration, file_speaking), (duration, speaking) = report.file_seconds, report.stored_seconds
    lines.append(f"  duration: {file_duration} s in the file, {duration} s here")
    lines.append(f"  speaking: {file_speaking} s in the file, {speaking} s here")
    lines.append(f"  calls: {report.calls} more than before")
    if report.unended:
        lines.append(f"  {report.unended} sessions had no end; they end where the file knows them last")
    if report.bans:
        lines.append(f"  {report.bans} bans are still in force")
    if report.unknown_roles:
        lines.append(f"  {report.unknown_roles} users had a role that there is not here; they are plain users")
    if unknown := sorted(report.worlds.difference(worlds)):
        lines.append(f"  worlds that VOICE_WORLDS does not name, and that lists do not show without: {', '.join(unknown)}")
    if report.unreadable:
        lines.append(f"unreadable, and left out ({len(report.unreadable)}):")
        lines += [f"  {place}: {reason}" for place, reason in report.unreadable]
    return lines
