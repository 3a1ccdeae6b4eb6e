"""The lock of a data folder: one process uses it at a time."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

_CLOSED_NOTE: Final = b"closed\n"


class StoreInUseError(RuntimeError):
    """Another process uses the data folder."""


class FolderLock:
    """A locked file in the data folder; the lock ends with the process, however it ends.

    Its content is the process that uses the folder, or a word that the last one closed it.
    """

    def __init__(self, folder: Path) -> None:
        """Lock a folder; raise `StoreInUseError` when another process has it locked."""
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        content = os.pread(self._fd, 20, 0)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            owner = content.decode().strip() or "unknown"
            raise StoreInUseError(
                f"The data folder {folder} is in use by process {owner}. One process serves"
                " one folder: stop the other, or set ANALYTICS_DATA to a folder of its own."
            ) from None
        self.was_closed = content == _CLOSED_NOTE
        self._write(f"{os.getpid()}\n".encode())

    def release(self, *, is_closed: bool) -> None:
        """Unlock the folder, and note whether it was closed with all its files whole."""
        with contextlib.suppress(OSError):  # the next start then does more than it must
            if is_closed:
                self._write(_CLOSED_NOTE)
        os.close(self._fd)

    def _write(self, content: bytes) -> None:
        os.pwrite(self._fd, content, 0)  # first: on a full disk there is no new block
        os.ftruncate(self._fd, len(content))
