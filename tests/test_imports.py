"""Who may import whom: the floors of the server, and the one place of each library.

The source is read, not run, so that an import inside a function or for types alone counts like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import server

ROOT = Path(server.__file__).parent

GROUND_FLOOR = frozenset(
    {
        "",  # the package itself, for its version
        "capacity",
        "config",
        "data_folder",
        "errors",
        "i18n",
        "limit_rules",
        "load",
        "logs",
        "options",
        "protocol",
        "resources",
        "secrets",
        "setting_kinds",
    }
)
FLOORS = (
    GROUND_FLOOR,
    frozenset({"media", "voice"}),
    frozenset({"signalling", "storage"}),
    {"web"},
    frozenset({"app", "commands"}),
    {"__main__"},
)
"""From the ground up. A part imports from floors below its own and from itself; on the ground floor, parts import each other."""

LIBRARY_HOMES = {
    "aioice": ("media/",),
    "aioice.stun": ("media/ice.py",),
    "aiohttp": ("web/", "app.py", "__main__.py"),
    "aiortc": ("media/",),
    "aiortc.rtp": ("media/rtcp.py",),
    "aiortc.sdp": ("media/sdp.py",),
    "aiosqlite": ("storage/",),
    "av": ("media/",),
    "cffi": ("media/",),
    "dotenv": ("config.py",),
    "ifaddr": ("media/",),
    "jwt": ("web/auth.py",),
    "pylibsrtp": ("media/dtls_srtp.py",),
    "throttled": ("web/limits.py",),
    "sqlite3": ("storage/",),
}
"""Where a library may be imported, as paths below `server/`; the longest name that fits an import decides."""

PRIVATE_NAMES_HOME = "media/dtls_srtp.py"


@dataclass(frozen=True, slots=True)
class Import:
    """`from module import name`, or `import module` where `name` is "". One under `TYPE_CHECKING` is `for_types`."""

    module: str
    name: str
    line: int
    for_types: bool


@dataclass(frozen=True, slots=True)
class Source:
    """One module of the server. `path` is below `server/`, with slashes."""

    path: str
    name: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The part of the server it belongs to: `media`, `app`, and "" for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""

    def imports(self) -> Iterator[Import]:
        """Every import anywhere in it, relative ones made absolute."""
        package = self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]
        blocks = [node for node in ast.walk(self.tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
        for_types = {id(inner) for block in blocks for inner in ast.walk(block)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, "", node.lineno, id(node) in for_types) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                module = ".".join(part for part in (base, node.module) if part)
                yield from (Import(module, alias.name, node.lineno, id(node) in for_types) for alias in node.names)


def sources() -> list[Source]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        parts = relative.with_suffix("").parts
        name = ".".join(("server", *parts[: -1 if parts[-1] == "__init__" else None]))
        found.append(Source(relative.as_posix(), name, ast.parse(path.read_text(encoding="utf-8"))))
    return found


SOURCES = sources()
MODULES = frozenset(source.name for source in SOURCES)


def imported_module(entry: Import) -> str:
    """The module of ours that an import loads: `from server import config` loads `server.config`."""
    longer = f"{entry.module}.{entry.name}"
    return longer if longer in MODULES else entry.module


def ours(source: Source) -> Iterator[tuple[Import, str]]:
    for entry in source.imports():
        if entry.module.split(".")[0] == "server":
            yield entry, imported_module(entry)


def floor(part: str) -> int:
    [level] = (level for level, parts in enumerate(FLOORS) if part in parts)
    return level


def test_every_part_stands_on_a_floor() -> None:
    assert {source.part for source in SOURCES} <= set().union(*FLOORS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_imports_go_down_only(source: Source) -> None:
    for entry, module in ours(source):
        part = (*module.split("."), "")[1]
        same = part == source.part or (part in GROUND_FLOOR and source.part in GROUND_FLOOR)
        assert same or floor(part) < floor(source.part), f"{source.path}:{entry.line} imports {module}"


def test_there_is_no_circle() -> None:
    # Two modules may name each other in annotations: nothing is loaded for that.
    graph = {
        source.name: {module for entry, module in ours(source) if not entry.for_types} - {source.name, "server"}
        for source in SOURCES
    }
    for source in SOURCES:
        if not source.path.endswith("__init__.py"):
            assert source.name.rpartition(".")[0] not in graph[source.name], f"{source.path} imports the package it is in"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"modules import each other in a circle: {circle.args[1]}")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_each_library_has_its_place(source: Source) -> None:
    for entry in source.imports():
        names = [f"{entry.module}.{entry.name}", entry.module]
        names += [entry.module.rsplit(".", depth)[0] for depth in range(1, entry.module.count(".") + 1)]
        homes = next((LIBRARY_HOMES[name] for name in names if name in LIBRARY_HOMES), None)
        if homes is not None and source.path != PRIVATE_NAMES_HOME:
            assert source.path.startswith(homes), f"{source.path}:{entry.line} imports {entry.module}, whose place is {homes}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_private_names_of_the_media_libraries_stay_in_one_file(source: Source) -> None:
    if source.path == PRIVATE_NAMES_HOME:
        return
    for entry in source.imports():
        if entry.module.split(".")[0] in {"aioice", "aiortc", "pylibsrtp"}:
            private = [word for word in (*entry.module.split("."), entry.name) if word.startswith("_")]
            assert not private, f"{source.path}:{entry.line} imports {private}"
    for node in ast.walk(source.tree) if source.part == "media" else ():
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            mine = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            assert mine, f"{source.path}:{node.lineno} uses {node.attr} of something else"
