"""The structure of JSON text: what is outside of texts, and the number of items of an array.

A decoder that makes 8 million values holds the GIL for 0.8 s, and takes 0.6 GB.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

_CHUNK_BYTES: Final = 65_536
_BACKSLASH: Final = b"\\"
_COMMA: Final = ord(",")
_NO_MARKS: Final = bytes(set(range(256)) - set(b",[]{}"))
_STEPS: Final = np.array([(byte in b"[{") - (byte in b"]}") for byte in range(256)], np.int8)
"""Change of the depth by each byte."""


def parts_outside_texts(json: bytes) -> Iterator[bytes]:
    """Iterate over what is outside of texts, by chunks, so that other threads run between them."""
    is_in_text = is_escaped = False
    for start in range(0, len(json), _CHUNK_BYTES):
        chunk = json[start + is_escaped : start + _CHUNK_BYTES]
        # Of several backslashes in a row, the first one escapes the second one.
        chunk = chunk.replace(b"\\\\", b"").replace(b'\\"', b"")
        is_escaped = chunk.endswith(_BACKSLASH)
        pieces = chunk.split(b'"')
        yield b"".join(pieces[is_in_text::2])
        is_in_text ^= len(pieces) % 2 == 0


def count_items(array: bytes) -> int:
    """Return the number of items of a JSON array that is not empty, and of its part if it is cut.

    What follows the array does not count.
    """
    depth = commas = 0
    for part in parts_outside_texts(array):
        marks = np.frombuffer(part.translate(None, _NO_MARKS), np.uint8)
        depths = np.cumsum(_STEPS[marks], dtype=np.int64) + depth
        is_end = depths == 0
        length = int(is_end.argmax()) if is_end.any() else len(depths)
        commas += int(np.count_nonzero((marks == _COMMA)[:length] & (depths == 1)[:length]))
        if length < len(depths):
            break
        depth = int(depths[-1]) if length else depth
    return commas + 1
