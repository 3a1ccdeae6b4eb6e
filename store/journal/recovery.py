"""Recovery of a journal: finds the complete groups in the segments of an earlier process."""

import contextlib
from pathlib import Path
from typing import NamedTuple

from store.journal.segments import Segment, read_prefix, segment_files, split_torn_end


class Leftovers(NamedTuple):
    """The segments of an earlier process, oldest first, and descriptions of their torn ends."""

    segments: list[Segment]
    torn_ends: list[str]


def recover_segments(folder: Path) -> Leftovers:
    """Read the segments in a folder; move incomplete groups into `.torn` files."""
    leftovers = Leftovers([], [])
    for path in segment_files(folder):
        rows, valid = read_prefix(path)
        size = path.stat().st_size
        if valid < size:
            leftovers.torn_ends.append(f"{size - valid} bytes of {path.name}")
        if rows == 0:
            path.rename(path.with_suffix(".torn")) if size else path.unlink()
            continue
        if valid < size:
            with contextlib.suppress(OSError):  # when the disk is full, the loader does it later
                split_torn_end(path, valid)
        leftovers.segments.append(Segment(path, int(path.stem), rows, valid, leftover=True))
    return leftovers
