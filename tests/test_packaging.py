"""The wheel: what it carries, and that it runs from any folder."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import aiohttp
import pytest

from server import resources
from tests.process import run, serving

ROOT = Path(resources.__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for processes that find the wheel's own files before those of this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def test_it_is_named_after_the_project_and_its_version(wheel: Path) -> None:
    assert wheel.name == f"weltenstimme-{resources.version()}-py3-none-any.whl"


def test_it_carries_pages_schema_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        described = archive.read(metadata).decode()
        entry_points = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert {"server/__main__.py", "server/py.typed", "server/_bundled/schema.sql"} <= names
    static = {
        f"server/_bundled/static/{path.relative_to(ROOT / 'static')}" for path in (ROOT / "static").rglob("*") if path.is_file()
    }
    assert static <= names
    vendored = {name.removeprefix("server/_bundled/vendor/") for name in names if "/vendor/" in name}
    for package in resources.VENDOR_PACKAGES:
        assert f"{package}/LICENSE" in vendored
    for path in resources.VENDOR_IMPORTS.values():
        assert any(name.startswith(path) for name in vendored), path
    assert all(resources.is_vendored(PurePosixPath(name)) or name.endswith("/LICENSE") for name in vendored)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"bench", "server", "weltenstimme"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".map")]
    assert "weltenstimme = server.__main__:main" in entry_points
    assert "License-Expression: MIT" in described


def test_its_own_files_are_found_before_those_of_this_checkout(installed: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import server; print(server.__file__)"]
    found = subprocess.check_output(command, cwd=tmp_path, env=installed, text=True)
    assert found.startswith(installed["PYTHONPATH"])


async def test_it_runs_from_another_folder(installed: dict[str, str], tmp_path: Path) -> None:
    finished = await run("version", folder=tmp_path, environment=installed)
    assert (finished.code, finished.out) == (0, f"weltenstimme {resources.version()}\n")


async def test_its_server_serves_pages_and_packages_and_makes_a_database(installed: dict[str, str], tmp_path: Path) -> None:
    async with serving(folder=tmp_path, environment=installed) as process, aiohttp.ClientSession(process.url) as http:
        for path in ("/", "/vendor/lit/index.js"):
            async with http.get(path) as answer:
                assert answer.status == 200, path
                assert re.search(r"\S", await answer.text())
        finished = await process.stop()
    assert finished.code == 0
    assert (tmp_path / "data" / "voice.db").is_file()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lit/index.js", True),
        ("@lit/reactive-element/css-tag.js", True),
        ("lit-html/directives/repeat.js", True),
        ("lit/index.d.ts", False),
        ("lit/package.json", False),
        ("swagger-ui-dist/swagger-ui-bundle.js", True),
        ("swagger-ui-dist/swagger-ui.css", True),
        ("swagger-ui-dist/swagger-ui-standalone-preset.js", False),
        ("lit/development/index.js", False),
        ("lit-html/node/lit-html.js", False),
        ("typescript/lib/tsc.js", False),
        ("@lit/other/index.js", False),
        ("lit", False),
        ("lit/../typescript/lib/tsc.js", False),
        ("/lit/index.js", False),
    ],
)
def test_what_of_the_packages_reaches_a_browser(path: str, expected: bool) -> None:
    assert resources.is_vendored(PurePosixPath(path)) is expected


def test_every_import_is_of_a_package_that_travels() -> None:
    assert tuple(sorted(resources.VENDOR_PACKAGES)) == resources.VENDOR_PACKAGES
    for path in resources.VENDOR_IMPORTS.values():
        assert any(PurePosixPath(path).is_relative_to(package) for package in resources.VENDOR_PACKAGES)
