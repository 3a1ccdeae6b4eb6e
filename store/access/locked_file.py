"""A small file of the data folder: one JSON document, changed whole and under a lock.

The service and its command line both change it, also at the same time.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from schema.errors import AnalyticsError
from store.durable_files import make_folder, write_durably

T = TypeVar("T", bound=msgspec.Struct)
Result = TypeVar("Result")

_LOG: Final = logging.getLogger("analytics.access")
_PRIVATE: Final = 0o600


class UnusableFileError(RuntimeError):
    """A file can't be used. The message is one line for the operator."""


class LockedFile(Generic[T]):
    """A struct on the disk, as JSON."""

    def __init__(self, folder: Path, name: str, content_type: type[T], remedy: str) -> None:
        """Use the file `name`.json in `folder`; it may not exist yet.

        `remedy` says what to do if the file is damaged.
        """
        self._folder = folder
        self._path = folder / f"{name}.json"
        self._lock_path = folder / f"{name}.lock"
        self._content_type = content_type
        self._remedy = remedy

    def read(self) -> T:
        """Return the content. Raises `UnusableFileError` if the file is not readable."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return self._content_type()
        except OSError as error:
            raise UnusableFileError(f"{self._path} can't be read ({error.strerror}).") from None
        try:
            return msgspec.json.decode(content, type=self._content_type)
        except (msgspec.MsgspecError, ValueError) as error:
            message = f"{self._path} is damaged ({error}). {self._remedy}"
            raise UnusableFileError(message) from None

    def stamp(self) -> tuple[int, int, int]:
        """Return numbers that change with the file; zeros if there is none."""
        try:
            stat = self._path.stat()
        except OSError:
            return 0, 0, 0
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    @contextlib.contextmanager
    def change(self) -> Iterator[T]:
        """Give the content to be changed; write it durably at the end, if it did change.

        Raises `UnusableFileError` if the file is not readable, and `OSError` if it is not writable.
        """
        make_folder(self._folder, root=self._folder)
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        try:
            self._give_to_owner(self._lock_path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            content: Any = self.read()
            before = msgspec.json.encode(content)
            yield content
            after = msgspec.json.encode(content)
            if after != before:
                write_durably(self._path, msgspec.json.format(after) + b"\n", _PRIVATE)
                self._give_to_owner(self._path)
        finally:
            os.close(fd)

    async def change_beside(self, operation: Callable[[T], Result]) -> Result:
        """Change the content in a thread, because the disk may be slow; return the result.

        Raises as the operation does, and UNAVAILABLE if the file can't be read or written.
        """

        def change_file() -> Result:
            with self.change() as content:
                return operation(content)

        try:
            return await asyncio.to_thread(change_file)
        except (UnusableFileError, OSError) as error:
            _LOG.error("%s can't be changed: %s", self._path.name, error)
            message = f"The file {self._path.name} can't be changed now; the log says why."
            raise AnalyticsError("UNAVAILABLE", message, retry_after=5) from error

    def _give_to_owner(self, path: Path) -> None:
        """Let the owner of the folder own a file: root may run the command for another user."""
        if os.geteuid() == 0:
            owner = self._folder.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
