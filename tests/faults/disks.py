"""Disks that can be full or lose their power. To mount them takes root."""

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.harness.process import Process

_EXT4_IOC_SHUTDOWN: Final = 0x8004587D  # _IOR('X', 125, __u32)
_NEITHER_LOG_NOR_DATA: Final = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}: {result.stderr}"


def needs_root() -> None:
    """Skip the test unless this process may mount."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")


@contextlib.contextmanager
def mount(folder: Path, *options: str) -> Iterator[None]:
    """Mount a file system on a folder, new or not, for a `with` block."""
    folder.mkdir(exist_ok=True)
    result = subprocess.run(
        ("mount", *options, str(folder)), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        pytest.skip(f"this machine can't `mount {' '.join(options)}`: {result.stderr.strip()}")
    try:
        yield
    finally:
        _run("umount", str(folder))


@contextlib.contextmanager
def mount_in_memory(folder: Path, size: str) -> Iterator[None]:
    """Mount a small disk in memory on a folder."""
    needs_root()
    with mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield


def resize(folder: Path, size: str) -> None:
    """Change the size of a disk in memory."""
    _run("mount", "-o", f"remount,size={size}", str(folder))


def free_bytes(folder: Path) -> int:
    """Return the free bytes of a disk."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def thread_states(service: Process) -> set[str]:
    """Return the states of a service's threads: `T` is stopped, `D` is in a disk call."""
    stats = Path(f"/proc/{service.pid}/task").glob("*/stat")
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}


class Disk:
    """An ext4 disk in a file, which `cut_power` leaves as a power cut would.

    The kernel drops unsynced contents, sizes and names. Data that it wrote on its own before
    stays, as on a real disk; `write_back` makes it write.
    """

    def __init__(self, image: Path, folder: Path) -> None:
        """Make an empty disk for the mount point `folder`; skip where that is not possible."""
        needs_root()
        if not shutil.which("mkfs.ext4"):
            pytest.skip("mkfs.ext4 is not installed (apt-get install e2fsprogs)")
        self.folder = folder
        self._image = image
        with image.open("wb") as file:
            file.truncate(2**29)
        _run("mkfs.ext4", "-q", "-F", str(image))

    @contextlib.contextmanager
    def mount(self, options: str = "data=ordered") -> Iterator[Path]:
        """Mount the disk; the mount replays its log, as after a power cut.

        With `data=writeback,nodelalloc` a file may have its size but not its bytes.
        """
        with mount(self.folder, "-o", f"loop,{options}", str(self._image)):
            yield self.folder

    def cut_power(self, service: Process, *, between_calls: bool = False) -> None:
        """Cut the power: nothing reaches the disk until it is mounted again.

        The service is stopped first, because the kernel lets some running syncs succeed, and no
        client may get an answer from them. `between_calls` waits for these syncs; then the service
        can go on (with `SIGCONT`) on a dead disk.
        """
        service.signal(signal.SIGSTOP)
        while not thread_states(service) <= ({"T"} if between_calls else {"T", "D"}):
            time.sleep(0.001)
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            flags = struct.pack("I", _NEITHER_LOG_NOR_DATA)
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, flags)
        except OSError as error:
            pytest.skip(f"this kernel can't shut an ext4 file system down: {error}")
        finally:
            os.close(fd)

    def write_back(self) -> None:
        """Write all unsynced data, as the kernel may do at any time."""
        _run("sync", "--file-system", str(self.folder))
