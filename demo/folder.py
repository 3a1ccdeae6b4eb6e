"""The data folder of a demo: a note says what is recorded in it, and up to when."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from demo.places import MS_PER_DAY
from demo.story import Story
from store.folder_lock import FolderLock, StoreInUseError

_NOTE: Final = "demo.json"
_FORMAT: Final = 1
"""Number of the way in which the data are made; another number makes the data anew."""

_RECENT_MS: Final = 2 * MS_PER_DAY
"""Age up to which data are used again. Ids of rows are known for 7 days."""


class UnusableFolderError(ValueError):
    """A folder that a demo can't use. The message names the folder and the remedy."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Times of a demo, in milliseconds since 1970.

    The history ends at `end_ms`. All rows up to `recorded_ms` are recorded, and of those up to
    `target_ms` perhaps some: they are sent again, and their ids keep them from being doubled.
    """

    seed: int
    end_ms: int
    recorded_ms: int
    target_ms: int

    def is_recent(self, now_ms: int) -> bool:
        """Say whether the data can be used again, rather than made anew."""
        return self.end_ms <= self.target_ms <= now_ms < self.end_ms + _RECENT_MS


class DemoFolder:
    """A data folder and its note."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which need not exist."""
        self._note = folder / _NOTE
        self.path = folder

    def open(self, seed: int, now_ms: int) -> Progress:
        """Return the progress of recent data; empty the folder if its data are too old.

        Raises `UnusableFolderError` for a folder with other data, or that another service uses.
        """
        if not self._note.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise UnusableFolderError(
                    f"{self.path} has data that are not of a demo; choose an empty folder: --data"
                )
        elif (progress := self._read()) and progress.is_recent(now_ms) and progress.seed == seed:
            return progress
        else:
            self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        story = Story(seed, now_ms)
        progress = Progress(seed, now_ms, story.start_ms, now_ms)
        self.write(progress)
        return progress

    def write(self, progress: Progress) -> None:
        """Replace the note."""
        new_note = self._note.with_suffix(".new")
        new_note.write_text(json.dumps({"format": _FORMAT, **asdict(progress)}))
        new_note.replace(self._note)

    def _read(self) -> Progress | None:
        try:
            fields = json.loads(self._note.read_text())
            return Progress(**fields) if fields.pop("format") == _FORMAT else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def _clear(self) -> None:
        try:
            lock = FolderLock(self.path)
        except StoreInUseError as error:
            raise UnusableFolderError(str(error)) from None
        try:
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != self._note:
                    path.unlink()
            self._note.unlink()
        finally:
            lock.release(is_closed=True)


def begin_step(progress: Progress, target_ms: int) -> Progress:
    """Return the progress when all rows up to the target are recorded, and a new target is set."""
    return replace(progress, recorded_ms=progress.target_ms, target_ms=target_ms)
