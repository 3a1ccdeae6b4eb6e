"""A memory of which client ids may have been here, of fixed size."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

WINDOW_MS: Final = 7 * 24 * 3_600_000
"""How long an id is remembered at the least, in milliseconds."""

_BITS: Final = 6
_INDEX_SHIFT: Final = np.uint64(6 * _BITS)
_ONE: Final = np.uint64(1)
_SIX: Final = np.uint64(63)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: a hash of its own

_Words: TypeAlias = npt.NDArray[np.uint64]


class SeenIds:
    """Remembers ids for 7 to 14 days: says "surely new" or "maybe not", never wrongly "new".

    A blocked Bloom filter (Putze, Sanders, Singler 2007): an id is six bits in each of two 64-bit
    words, so that a look-up costs two cache misses, and a thousand of them cost numpy 0.2 ms. At
    one id for each word fewer than 1 of a million new ids are taken for old ones, at two ids 15 of
    a million, at four 15 of 10,000; each costs a query of the engine, which knows. Memory never
    grows.

    There are two filters, and the older one is dropped when the newer has been filled for a week.
    """

    def __init__(self, memory_bytes: int, now_ms: int) -> None:
        """Use at most so much memory, once there are ids at all."""
        self._words = 1 << max(10, (memory_bytes // 16).bit_length() - 1)
        self._current = np.zeros(self._words, np.uint64)
        self._previous: _Words | None = None
        self._since_ms = now_ms

    def add(self, ids: Sequence[str], now_ms: int) -> list[int]:
        """Remember these ids; return the places of those that may have been here before.

        An id that is twice among them and was never here before is not reported.
        """
        if now_ms - self._since_ms > WINDOW_MS:
            self._previous = self._current
            self._current = np.zeros(self._words, np.uint64)
            self._since_ms = now_ms
        # Python's own hash of a text is keyed anew in each process: nobody can aim at a word.
        first = np.fromiter(map(hash, ids), np.int64, len(ids)).view(np.uint64)
        second = first * _MIX
        second ^= second >> _INDEX_SHIFT
        spots = [self._spot(first), self._spot(second)]
        seen = _covered(self._current, spots)
        if self._previous is not None:
            seen |= _covered(self._previous, spots)
        for places, bits in spots:
            self._current[places] |= bits
            lost = (self._current[places] & bits) != bits  # to another id that has the same word
            if lost.any():
                np.bitwise_or.at(self._current, places[lost], bits[lost])
        return [int(place) for place in np.flatnonzero(seen)]

    def _spot(self, hashes: _Words) -> tuple[_Words, _Words]:
        """Return which word belongs to each of these hashes, and which of its bits."""
        bits = np.zeros(len(hashes), np.uint64)
        for n in range(_BITS):
            bits |= _ONE << ((hashes >> np.uint64(6 * n)) & _SIX)
        return (hashes >> _INDEX_SHIFT) & np.uint64(self._words - 1), bits


def _covered(words: _Words, spots: Sequence[tuple[_Words, _Words]]) -> npt.NDArray[np.bool_]:
    """Say for each id whether all of its bits are set."""
    covered = np.ones(len(spots[0][0]), np.bool_)
    for places, bits in spots:
        covered &= (words[places] & bits) == bits
    return covered
