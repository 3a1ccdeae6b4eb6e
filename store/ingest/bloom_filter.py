"""A memory of which client ids may have been here, of fixed size."""

import mmap
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from store.ingest.id_hashes import IdHashes

WINDOW_MS: Final = 7 * 24 * 3_600_000
"""How long an id is remembered at the least, in milliseconds."""

_MAX_FILTERS: Final = 4
_MIN_WORDS: Final = 1024
_BITS_PER_WORD: Final = 6
_HALF_WORD: Final = np.uint64(32)
_BIT: Final = np.uint64(1)
_BIT_MASK: Final = np.uint64(63)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)  # odd: a hash of its own (splitmix64)

_Words: TypeAlias = npt.NDArray[np.uint64]
_Indexes: TypeAlias = npt.NDArray[np.int64]
_Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _BloomFilter:
    """A Bloom filter of the ids that came in a span of time.

    `places` and `bits` say in which words some ids are, and by which bits. Each is one array, first
    of every id its one word, then its other: numpy's calls cost more than its work.
    """

    words: _Words
    oldest_ms: int
    newest_ms: int
    ids: int = 0

    def contains(self, indexes: _Indexes, bits: _Words) -> _Flags:
        """Say for each id whether all of its bits are set in its two words."""
        matches = (self.words.take(indexes) & bits) == bits
        count = len(matches) // 2
        flags: _Flags = matches[:count] & matches[count:]
        return flags

    def add(self, indexes: _Indexes, bits: _Words, now_ms: int) -> None:
        """Set the bits of these ids."""
        self.words[indexes] |= bits
        conflicts = (
            self.words.take(indexes) & bits
        ) != bits  # to another id that has the same word
        if conflicts.any():
            np.bitwise_or.at(self.words, indexes[conflicts], bits[conflicts])
        self.ids += len(indexes) // 2
        self.newest_ms = max(self.newest_ms, now_ms)


class RecentIds:
    """Remembers ids for a week, or more: says "surely new" or "maybe not", never wrongly "new".

    Blocked Bloom filters (Putze, Sanders, Singler 2007): an id is six bits in each of two 64-bit
    words, so that a look-up costs two cache misses, and a thousand of them cost numpy 0.1 ms. At
    one id for each word fewer than 1 of a million new ids are taken for old ones, at two ids 15 of
    a million, at four 15 of 10,000; each costs a query of the engine, which knows. Memory never
    grows.

    There are up to four filters: a next one is begun when the last one has an id for each word, or
    is a third of the window old, and none is kept for longer than its newest id must be. When all
    are in use the last one has to take more.
    """

    def __init__(self, memory_bytes: int) -> None:
        """Use at most so much memory, and none before there are ids."""
        self._words = max(_MIN_WORDS, memory_bytes // (_MAX_FILTERS * 8))
        self._filters: list[_BloomFilter] = []
        # Drawn anew in each process, so that nobody can aim at a word.
        self._key = np.uint64(secrets.randbits(64) | 1)

    def add(self, hashes: IdHashes, now_ms: int) -> list[int]:
        """Remember these ids; return the places of those that may have been here before.

        `now_ms` is of a clock that only moves forward.
        An id that is twice among them and was never here before is not reported.
        """
        indexes, bits = self._positions(hashes)
        flags = np.zeros(len(hashes), np.bool_)
        self._filters = [f for f in self._filters if f.newest_ms >= now_ms - WINDOW_MS]
        for bloom_filter in self._filters:
            flags |= bloom_filter.contains(indexes, bits)
        self._current_filter(now_ms).add(indexes, bits, now_ms)
        return np.flatnonzero(flags).tolist()

    def _current_filter(self, now_ms: int) -> _BloomFilter:
        """Return the filter that takes ids now."""
        last = self._filters[-1] if self._filters else None
        slice_ms = WINDOW_MS // (_MAX_FILTERS - 1)
        is_full = last and (last.ids >= self._words or now_ms - last.oldest_ms > slice_ms)
        if last is None or (is_full and len(self._filters) < _MAX_FILTERS):
            # Not np.zeros: its pages are of 2 MiB, and to clear all of them for the first thousand
            # ids takes half a second.
            words = np.frombuffer(mmap.mmap(-1, self._words * 8), np.uint64)
            last = _BloomFilter(words, now_ms, now_ms)
            self._filters.append(last)
        return last

    def _positions(self, id_hashes: IdHashes) -> tuple[_Indexes, _Words]:
        """Return the places of ids in any filter, and their bits."""
        first = id_hashes * self._key
        first ^= first >> _HALF_WORD
        second = first * _MIX
        second ^= second >> _HALF_WORD
        hashes = np.concatenate((first, second))
        bits = np.zeros(len(hashes), np.uint64)
        for byte in range(_BITS_PER_WORD):
            bits |= _BIT << ((hashes >> np.uint64(6 * byte)) & _BIT_MASK)
        # The upper half of a hash, as a fraction of 2^32, of all words (Lemire 2016).
        indexes = ((hashes >> _HALF_WORD) * np.uint64(self._words)) >> _HALF_WORD
        return indexes.view(np.int64), bits
