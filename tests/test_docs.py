"""What the documents say is so, and what must be in no file is in none."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from server import resources
from server.config import ENV_PREFIX, SETTINGS
from server.options import Command
from tools import configuration, lock

ROOT = Path(resources.__file__).parent.parent
NOT_OURS = {".git", ".venv", "node_modules", "build", "dist", "data", "results", "test-results", "__pycache__", "_bundled"}
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
# In pieces, as this file is one of those that are looked through.
REGISTRIES = [
    ".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"))
]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def code_of(page: Path) -> str:
    """What stands as code in a page, each piece on a line of its own."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])


def our_files() -> list[Path]:
    """Every file of the project that is text, in a checkout with or without what set-up makes."""
    found = []
    for top in ROOT.iterdir():
        if top.name in NOT_OURS or top.name.endswith("_cache") or top.name in {".hypothesis", ".env"}:
            continue
        inside = top.rglob("*") if top.is_dir() else [top]
        found += [path for path in inside if path.is_file() and NOT_OURS.isdisjoint(path.relative_to(ROOT).parts)]
    return [path for path in found if b"\0" not in path.read_bytes()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_commands_and_settings_that_are_named_exist(page: Path) -> None:
    code = code_of(page)
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= targets()
    assert set(re.findall(r"^weltenstimme ([a-z-]+)", code, re.MULTILINE)) <= {command.value for command in Command}
    names = set(re.findall(rf"\b{ENV_PREFIX}[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert names <= {setting.env for setting in SETTINGS}


def test_the_readme_starts_with_the_two_commands() -> None:
    [block, *_] = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block.split("\n") == ["make run", "make test", ""]


def test_make_alone_tells_about_every_target_for_people() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.MULTILINE))
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert told >= {"help", "run", "test", "lint", "format", "lock", "clean", "bench", "wheel"}
    assert set(phony.split()) == targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            assert linked.exists(), f"{page.name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_settings_is_the_table() -> None:
    assert configuration.PAGE.read_text(encoding="utf-8") == configuration.markdown(), "`make docs` writes it anew"


def test_this_version_has_an_entry_among_the_changes() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert resources.version() in versions


@pytest.mark.parametrize("name", [entry.file for entry in lock.LOCKS])
def test_python_locks_hold_versions_and_hashes_only(name: str) -> None:
    assert lock.problems((ROOT / name).read_text(encoding="utf-8")) == []


def test_a_lock_with_an_address_an_option_or_no_hash_is_noticed() -> None:
    good = "a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    assert lock.problems("#\n# comment\n" + good) == []
    for bad in ("--pre\n", "a @ file:///tmp/a\n", "a==1\n", "a==1 \\\n", good.replace("==", ">="), "# from https://a.example\n"):
        assert lock.problems(bad + good), bad


def test_the_npm_lock_names_no_address() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    assert '"integrity"' in text


def test_locks_hold_for_each_other() -> None:
    pins: dict[str, str] = {}
    for entry in lock.LOCKS:
        for name, version in re.findall(r"^([\w.-]+)==(\S+) ", (ROOT / entry.file).read_text(encoding="utf-8"), re.MULTILINE):
            assert pins.setdefault(name, version) == version, f"{name} in {entry.file}"


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {"": project["dependencies"], **project["optional-dependencies"]}
    for entry in lock.LOCKS:
        locked = set(re.findall(r"^([\w.-]+)==", (ROOT / entry.file).read_text(encoding="utf-8"), re.MULTILINE))
        names = {re.split(r"[<>=~\[]", line)[0] for extra in entry.extras for line in wanted[extra]}
        assert names <= locked, entry.file


def test_no_file_names_a_package_registry() -> None:
    for path in our_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [host for host in REGISTRIES if host in text], path
