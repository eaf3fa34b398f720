"""Puts into a wheel what a checkout has beside the package: pages, schema, and the npm files that pages load."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["CustomBuildHook"]


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook. An editable installation uses the checkout itself, so nothing is put into it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files to `build_data`. Raises `RuntimeError` where they have not been made yet."""
        if version == "editable":
            return
        root = Path(self.root)
        resources = _resources(root)
        vendor = root / "node_modules"
        missing = [name for name in resources.VENDOR_PACKAGES if not (vendor / name / "package.json").is_file()]
        if missing:
            raise RuntimeError(f"npm packages are missing ({', '.join(missing)}): run `make wheel`, or `npm ci` before the build")
        files = build_data["force_include"]
        files[str(root / "schema.sql")] = "server/_bundled/schema.sql"
        files[str(root / "static")] = "server/_bundled/static"
        for name in resources.VENDOR_PACKAGES:
            for file in sorted((vendor / name).rglob("*")):
                path = PurePosixPath(file.relative_to(vendor).as_posix())
                if file.is_file() and (resources.is_vendored(path) or file == vendor / name / "LICENSE"):
                    files[str(file)] = f"server/_bundled/vendor/{path}"


def _resources(root: Path) -> ModuleType:
    """`server.resources`, loaded from the sources that are being built, whatever else is installed."""
    sys.path.insert(0, str(root))
    try:
        spec = importlib.util.find_spec("server.resources")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(root))
