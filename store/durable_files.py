"""Files and folders that are still there after a power cut."""

import functools
import os
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Create a file with this content, whole or not at all; `mode` without the umask's bits."""
    draft = path.with_suffix(".new")
    try:
        with open(draft, "wb", opener=functools.partial(os.open, mode=mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder(folder: Path, root: Path) -> None:
    """Create a folder, and make each folder from `root` down to it durable."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in folder.parents:
        sync_folder(step)
        if step == root.parent:
            break


def sync_folder(folder: Path) -> None:
    """Make the creation, renaming and removal of a folder's files durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
