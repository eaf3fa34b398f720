"""Writes `docs/configuration.md` from the table of settings; a test holds the two together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from server.config import SETTINGS, Setting

__all__ = ["PAGE", "markdown"]

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

_INTRODUCTION: Final = """\
# Configuration

This page is made from the table in `server/config.py` by `make docs`.

Nothing has to be set. What is set comes from, the first that names it:

1. an option of `weltenstimme serve`, such as `--port 9000`;
2. the environment, such as `VOICE_PORT=9000`;
3. a file `.env` in the folder where the server starts, with lines such as `VOICE_PORT=9000`;
4. the default.

A name that begins with `VOICE_` and is none of these, or a value that cannot be read, stops the start with a sentence that says
which one and what it takes. `weltenstimme settings` prints what is in force, without the secrets.

Secrets have no option, because everybody on a machine can read the options of its processes. Where none is given, one is made at
the first start and kept in `secrets.json` in the data folder, readable by the owner only; delete that file to get new ones.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(_section(setting) for setting in SETTINGS)])


def _section(setting: Setting) -> str:
    default = setting.default if setting.derived else (f"`{setting.default}`" if setting.default else "empty")
    rows = [f"- Takes: {setting.kind.takes}" + (f"; unit: {setting.unit}" if setting.unit else "")]
    rows.append(f"- Default: {default}")
    rows.append(f"- Option: `{setting.option}`" if setting.option else "- Option: none, as it may hold a secret")
    if setting.example:
        rows.append(f"- Example: `{setting.env}={setting.example}`")
    return f"## {setting.env}\n\n{setting.help}\n\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
