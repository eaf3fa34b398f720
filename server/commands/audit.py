"""`weltenstimme audit verify`: whether the moderation log is as it was written."""

from __future__ import annotations

import sys

from server.commands.database import with_database
from server.config import Settings
from server.options import CommandLine
from server.storage.audit import Finding, verify

__all__ = ["run"]


def run(settings: Settings, line: CommandLine) -> int:
    """0 where all is well, 1 where it is not."""
    noted = line.arguments.get("noted")
    finding = with_database(settings, lambda database: database.read(lambda db: verify(db, noted)))
    return _tell(finding, noted)


def _tell(finding: Finding, noted: str | None) -> int:
    if finding.broken_id is not None:
        print(f"The moderation log was changed: row {finding.broken_id} {finding.problem}.", file=sys.stderr)
        return 1
    if not finding.noted_found:
        print(f"The moderation log was written anew: no row has the hash {noted}.", file=sys.stderr)
        return 1
    print(f"The moderation log is whole: {finding.rows} rows, the last one with the hash {finding.head or '(none)'}.")
    return 0
