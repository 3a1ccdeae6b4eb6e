"""A virtual environment for tests that install and remove packages."""

import base64
import csv
import hashlib
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Environment:
    """A virtual environment that falls back on the packages of the tests' environment."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Create an environment without packages of its own."""
        venv.create(folder, symlinks=True)
        environment = cls(folder)
        package_folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (environment.site / "locked.pth").write_text("\n".join(sorted(package_folders)))
        return environment

    def copy(self, folder: Path) -> Self:
        """Copy the environment; the copy's Python runs, its commands name the first folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return type(self)(folder)

    @property
    def site(self) -> Path:
        """The folder of the packages."""
        return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(self.folder)}))

    def command(self, name: str) -> str:
        """Return the path of an installed command."""
        return str(self.folder / "bin" / name)

    def python(self, *arguments: str) -> str:
        """Run Python in the environment's folder; return what it printed."""
        result = subprocess.run(
            (self.command("python"), *arguments),
            cwd=self.folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return result.stdout

    def pip(self, *arguments: str) -> None:
        """Run the pip of the tests' environment for this one."""
        self.python("-m", "pip", "-q", "--disable-pip-version-check", *arguments)

    def records(self) -> dict[str, dict[Path, str]]:
        """Return each package's files and their digests, as recorded by the installation."""
        return {
            package.name: {
                self.site / path: digest
                for path, digest, _ in csv.reader((package.read_text("RECORD") or "").splitlines())
            }
            for package in distributions(path=[str(self.site)])
        }

    def damaged_files(self, names: Iterable[str]) -> list[Path]:
        """List the files of packages that are missing or changed."""
        records = self.records()
        return [
            path
            for name in names
            for path, digest in records[name].items()
            if not path.is_file() or (digest and digest != _digest(path))
        ]


def _digest(path: Path) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256={digest.decode().rstrip('=')}"
