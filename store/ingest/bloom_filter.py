"""Rotating Bloom filters of the client ids of the last seven days, in fixed memory."""

import mmap
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from store.ingest.id_hashes import IdHashes

WINDOW_MS: Final = 7 * 24 * 3_600_000
"""Minimum time in milliseconds for which an id is remembered."""

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
    """A Bloom filter of the ids that arrived in one period.

    An id has two words. `indexes` are the indexes of the words, `bits` the id's bits in them. Each
    is one array: the first word of every id, then the second word of every id. One array halves the
    number of numpy calls, which cost more than numpy's work.
    """

    words: _Words
    oldest_ms: int
    newest_ms: int
    ids: int = 0

    def contains(self, indexes: _Indexes, bits: _Words) -> _Flags:
        """Return for each id whether all of its bits are set in its two words."""
        matches = (self.words.take(indexes) & bits) == bits
        count = len(matches) // 2
        flags: _Flags = matches[:count] & matches[count:]
        return flags

    def add(self, indexes: _Indexes, bits: _Words, now_ms: int) -> None:
        """Set the bits of ids."""
        self.words[indexes] |= bits
        conflicts = (
            self.words.take(indexes) & bits
        ) != bits  # overwritten by another id with the same word
        if conflicts.any():
            np.bitwise_or.at(self.words, indexes[conflicts], bits[conflicts])
        self.ids += len(indexes) // 2
        self.newest_ms = max(self.newest_ms, now_ms)


class RecentIds:
    """Remembers ids for at least a week. An id that it reports as new is new.

    Blocked Bloom filters (Putze, Sanders, Singler 2007): an id sets six bits in each of two 64-bit
    words. A look-up costs two cache misses; a thousand look-ups cost numpy 0.1 ms. New ids reported
    as possible repeats: fewer than 1 in a million at one id per word, 15 in a million at two ids,
    15 in 10,000 at four. Each of them costs a query of the engine. Memory never grows.

    There are at most four filters. A new filter begins when the last one has an id for each word,
    or is a third of the window old. A filter is dropped a window after its newest id. When four
    filters are in use, the last one takes all further ids.
    """

    def __init__(self, memory_bytes: int) -> None:
        """Limit the memory to `memory_bytes`; nothing is allocated before the first id."""
        self._words = max(_MIN_WORDS, memory_bytes // (_MAX_FILTERS * 8))
        self._filters: list[_BloomFilter] = []
        # Random for each process: a sender can't choose ids that share a word.
        self._key = np.uint64(secrets.randbits(64) | 1)

    def add(self, hashes: IdHashes, now_ms: int) -> list[int]:
        """Remember ids; return the indexes of the ids that may have arrived before.

        `now_ms` is the time of a clock that only moves forward. Two equal ids in one call do not
        report each other.
        """
        indexes, bits = self._positions(hashes)
        flags = np.zeros(len(hashes), np.bool_)
        self._filters = [f for f in self._filters if f.newest_ms >= now_ms - WINDOW_MS]
        for bloom_filter in self._filters:
            flags |= bloom_filter.contains(indexes, bits)
        self._current_filter(now_ms).add(indexes, bits, now_ms)
        return np.flatnonzero(flags).tolist()

    def _current_filter(self, now_ms: int) -> _BloomFilter:
        """Return the filter that takes new ids; create it when one is due."""
        last = self._filters[-1] if self._filters else None
        slice_ms = WINDOW_MS // (_MAX_FILTERS - 1)
        is_full = last and (last.ids >= self._words or now_ms - last.oldest_ms > slice_ms)
        if last is None or (is_full and len(self._filters) < _MAX_FILTERS):
            # np.zeros uses pages of 2 MiB: the first thousand ids would clear all of them, which
            # takes half a second.
            words = np.frombuffer(mmap.mmap(-1, self._words * 8), np.uint64)
            last = _BloomFilter(words, now_ms, now_ms)
            self._filters.append(last)
        return last

    def _positions(self, id_hashes: IdHashes) -> tuple[_Indexes, _Words]:
        """Return the word indexes of ids in any filter, and their bits."""
        first = id_hashes * self._key
        first ^= first >> _HALF_WORD
        second = first * _MIX
        second ^= second >> _HALF_WORD
        hashes = np.concatenate((first, second))
        bits = np.zeros(len(hashes), np.uint64)
        for bit in range(_BITS_PER_WORD):
            bits |= _BIT << ((hashes >> np.uint64(6 * bit)) & _BIT_MASK)
        # The upper half of a hash, as a fraction of 2^32, scaled to the number of words (Lemire
        # 2016).
        indexes = ((hashes >> _HALF_WORD) * np.uint64(self._words)) >> _HALF_WORD
        return indexes.view(np.int64), bits
