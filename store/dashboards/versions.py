"""Versions of dashboards on the disk: one file for each, in a folder for each dashboard.

A save writes one file, so its time does not grow with the history. A file is whole or absent after
a crash, and the highest number is the dashboard.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

from schema.dashboards.content import DashboardContent
from store.durable_files import make_folder, sync_folder, write_durably

Stamp: TypeAlias = tuple[int, int]
"""Number that changes with each change of a project, from its lock file; zeros without one."""

Spend: TypeAlias = Callable[[int], None]
"""Counts bytes that are read, and raises an error beyond a limit."""

NO_STAMP: Final[Stamp] = (0, 0)

_LOG: Final = logging.getLogger("analytics.dashboards")
_PRIVATE: Final = 0o600
_LOCK_NAME: Final = "lock"
_DELETED: Final = ".deleted"


def spend_nothing(_: int) -> None:
    """Let a reader read as much as there is."""


class StoredVersion(msgspec.Struct, frozen=True):
    """A version as it is stored. Times are milliseconds since 1970.

    `saved_by` is a person or the id of a key; it is empty if nobody signed in.
    """

    number: int
    created_ms: int
    saved_ms: int
    saved_by: str
    message: str
    content: DashboardContent


class ContentHeader(msgspec.Struct, frozen=True):
    title: str
    slug: str
    description: str = ""


class VersionHeader(msgspec.Struct, frozen=True):
    """A version without its panels, which msgspec skips."""

    number: int
    created_ms: int
    saved_ms: int
    saved_by: str
    message: str
    content: ContentHeader


class Header(NamedTuple):
    """What lists have of a dashboard, from its newest version."""

    id: str
    slug: str
    title: str
    description: str
    number: int
    created_ms: int
    saved_ms: int
    saved_by: str


class ProjectFolder:
    """The dashboards of a project on the disk. All calls may wait for the disk and the lock."""

    def __init__(self, root: Path, project: str) -> None:
        """Use a folder in the folder of all dashboards; it may not exist yet."""
        self._root = root
        self._folder = root / project
        self._lock_path = self._folder / _LOCK_NAME

    def stamp(self) -> Stamp:
        """Return the stamp of the last change, in some 3 us."""
        try:
            stat = self._lock_path.stat()
        except OSError:
            return NO_STAMP
        return stat.st_mtime_ns, stat.st_ino

    @contextlib.contextmanager
    def change(self) -> Iterator[Stamp]:
        """Keep other processes out during a change; give the stamp before it."""
        make_folder(self._folder, root=self._root.parent)
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        try:
            self._give_to_owner(self._root, self._folder, self._lock_path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield self.stamp()
        finally:
            os.close(fd)

    def headers(self) -> tuple[Stamp, list[Header]]:
        """Read the newest version of each dashboard, while nobody changes one."""
        try:
            fd = os.open(self._lock_path, os.O_RDONLY)
        except FileNotFoundError:
            return NO_STAMP, []
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            return self.stamp(), self.read_headers()
        finally:
            os.close(fd)

    def read_headers(self) -> list[Header]:
        """Read the newest version of each dashboard; the caller has the lock.

        A damaged file is logged, and its dashboard is in no list.
        """
        headers = []
        for folder in self._folder.iterdir():
            if folder.suffix == _DELETED or not folder.is_dir():
                continue
            numbers = self.numbers(folder.name)
            if not numbers:
                continue  # killed before its first version was whole
            path = self._path(folder.name, numbers[-1])
            try:
                header = msgspec.json.decode(path.read_bytes(), type=VersionHeader)
            except (msgspec.MsgspecError, ValueError, OSError) as error:
                _LOG.error("a dashboard is left out, its file is damaged: %s (%s)", path, error)
                continue
            headers.append(_header(folder.name, header))
        return headers

    def numbers(self, dashboard_id: str) -> list[int]:
        """List the numbers of the versions that are kept, oldest first."""
        try:
            names = os.listdir(self._folder / dashboard_id)  # noqa: PTH208 - pathlib takes three times as long
        except FileNotFoundError:
            return []
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def read(
        self, dashboard_id: str, number: int, spend_bytes: Spend = spend_nothing
    ) -> StoredVersion | None:
        """Read a version; None if there is none. Raises `OSError` or `MsgspecError`.

        `spend_bytes` gets the length of the file, and may raise.
        """
        text = self._read_text(dashboard_id, number, spend_bytes)
        return None if text is None else msgspec.json.decode(text, type=StoredVersion)

    def read_history(self, dashboard_id: str, spend_bytes: Spend) -> list[VersionHeader]:
        """Read the versions that are kept without their panels, newest first; as `read`."""
        numbers = reversed(self.numbers(dashboard_id))
        texts = (self._read_text(dashboard_id, number, spend_bytes) for number in numbers)
        return [msgspec.json.decode(text, type=VersionHeader) for text in texts if text is not None]

    def _read_text(self, dashboard_id: str, number: int, spend_bytes: Spend) -> bytes | None:
        try:
            text = self._path(dashboard_id, number).read_bytes()
        except FileNotFoundError:
            return None
        spend_bytes(len(text))
        return text

    def write(self, dashboard_id: str, version: StoredVersion, max_versions: int) -> Header:
        """Write a version durably, then remove the oldest ones; the caller has the lock."""
        self._renew_stamp()
        folder = self._folder / dashboard_id
        make_folder(folder, root=self._folder)
        path = self._path(dashboard_id, version.number)
        write_durably(path, msgspec.json.format(msgspec.json.encode(version)) + b"\n", _PRIVATE)
        self._give_to_owner(folder, path)
        for number in self.numbers(dashboard_id)[:-max_versions]:
            self._path(dashboard_id, number).unlink(missing_ok=True)
        return _header(dashboard_id, version)

    def delete(self, dashboard_id: str) -> None:
        """Delete a dashboard durably; the caller has the lock. The rest of an earlier one goes."""
        self._renew_stamp()
        folder = self._folder / dashboard_id
        folder.rename(folder.with_suffix(_DELETED))
        sync_folder(self._folder)
        for remainder in self._folder.glob(f"*{_DELETED}"):
            shutil.rmtree(remainder, ignore_errors=True)

    def _renew_stamp(self) -> None:
        """Give the project a new stamp, before a change: readers then wait for the lock.

        So none misses a change, also if this process is killed.
        """
        stamp_ns = max(time.time_ns(), self.stamp()[0] + 1)
        os.utime(self._lock_path, ns=(stamp_ns, stamp_ns))

    def _path(self, dashboard_id: str, number: int) -> Path:
        return self._folder / dashboard_id / f"{number}.json"

    def _give_to_owner(self, *paths: Path) -> None:
        """Let the owner of the data folder own files: root may run the command for another user."""
        if os.geteuid() == 0:
            owner = self._root.parent.stat()
            for path in paths:
                os.chown(path, owner.st_uid, owner.st_gid)


def _header(dashboard_id: str, version: StoredVersion | VersionHeader) -> Header:
    content = version.content
    return Header(
        dashboard_id,
        content.slug,
        content.title,
        content.description,
        version.number,
        version.created_ms,
        version.saved_ms,
        version.saved_by,
    )
