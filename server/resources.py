"""The files that are not Python: where they are, in a checkout and in an installed wheel.

A checkout has them at its root (`static/`, `schema.sql`, `node_modules/`); a wheel carries copies in `server/_bundled/`, put
there by `tools/hatch_build.py`. The build reads this module too: it imports nothing but the standard library and the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from server import __version__

__all__ = [
    "VENDOR_IMPORTS",
    "VENDOR_PACKAGES",
    "is_vendored",
    "schema_sql",
    "static_dir",
    "vendor_dir",
    "version",
]

VENDOR_IMPORTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lit": "lit/index.js",
        "lit/": "lit/",
        "lit-html": "lit-html/lit-html.js",
        "lit-html/": "lit-html/",
        "lit-element/lit-element.js": "lit-element/lit-element.js",
        "@lit/reactive-element": "@lit/reactive-element/reactive-element.js",
        "@lit/reactive-element/": "@lit/reactive-element/",
    }
)
"""What a page may import from npm: module specifier -> path below `vendor_dir()`. The import map is made from it."""

VENDOR_PACKAGES: Final[tuple[str, ...]] = ("@lit/reactive-element", "lit", "lit-element", "lit-html", "swagger-ui-dist")
"""The npm packages that a page loads from: the only ones served below `/vendor/` and carried in a wheel."""

_VENDOR_SUFFIXES: Final = frozenset({".css", ".js", ".mjs", ".wasm"})
_VENDOR_ONLY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"swagger-ui-dist": frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})}
)
"""Of these packages nothing but these files."""
_VENDOR_SKIPPED_FOLDERS: Final = frozenset({"development", "node", "node_modules"})

_PACKAGE: Final = Path(__file__).resolve().parent
_BUNDLED: Final = _PACKAGE / "_bundled"
_CHECKOUT: Final = _PACKAGE.parent


def is_vendored(path: PurePosixPath) -> bool:
    """Whether a file of `vendor_dir()` may reach a browser; `path` is relative to it.

    True for a script, style sheet or WebAssembly file of one of `VENDOR_PACKAGES`, without the builds that those carry for
    other uses. A path that leads out of the folder is never one.
    """
    if path.is_absolute() or ".." in path.parts or path.suffix not in _VENDOR_SUFFIXES:
        return False
    package = next((package for package in VENDOR_PACKAGES if path.is_relative_to(package)), None)
    if package is None or (package in _VENDOR_ONLY and path.name not in _VENDOR_ONLY[package]):
        return False
    return _VENDOR_SKIPPED_FOLDERS.isdisjoint(path.parts)


def static_dir() -> Path:
    """The folder with the pages, their scripts and style sheets."""
    return _root() / "static"


def schema_sql() -> str:
    """The SQL that makes a new database. Raises `FileNotFoundError` where an installation is broken."""
    return (_root() / "schema.sql").read_text(encoding="utf-8")


def vendor_dir() -> Path:
    """The folder that holds `VENDOR_PACKAGES`: `node_modules` of a checkout, or the copy in a wheel."""
    return _BUNDLED / "vendor" if _BUNDLED.is_dir() else _CHECKOUT / "node_modules"


def version() -> str:
    """The version of this server, such as `1.2.3`."""
    return __version__


def _root() -> Path:
    return _BUNDLED if _BUNDLED.is_dir() else _CHECKOUT
