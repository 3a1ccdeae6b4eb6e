"""The map of the code, and the budgets of files and folders."""

import re
from collections import Counter
from typing import Final

from tests.harness.process import ROOT
from tests.rules.sources import ALL_FOLDERS, SERVICE, python_files

MAP: Final = (ROOT / "docs" / "architecture.md").read_text()
MAX_LINES: Final = 400
MAX_FILES: Final = 20


def test_every_path_on_the_map_exists() -> None:
    """Each file and folder that the map, the README or CONTRIBUTING names exists."""
    texts = [MAP, (ROOT / "README.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()]
    paths = {
        path
        for text in texts
        for path in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_-]+\.[a-z]+)?)`", text)
    }
    assert len(paths) > 20
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_room_is_on_the_map() -> None:
    """The map names every folder of the service that holds code."""
    rooms = {path.parent for path in python_files(ROOT) if path.parent != ROOT}
    names = {path.name for path in rooms} - {"analytics_service"}
    assert {name for name in names if f"{name}/" not in MAP} == set()


def test_files_keep_to_their_budget() -> None:
    """A file has at most 400 lines."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in python_files(ROOT, ALL_FOLDERS)
    }
    assert not {path for path, count in lines.items() if count > MAX_LINES}


def test_rooms_keep_to_their_budget() -> None:
    """A folder has at most 20 files."""
    folders = Counter(
        path.parent
        for path in python_files(ROOT, SERVICE)
        if path.name != "__init__.py" and path.parent != ROOT
    )
    assert not {str(room.relative_to(ROOT)) for room, count in folders.items() if count > MAX_FILES}
