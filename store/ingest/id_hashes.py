"""Fingerprints of client ids: 64-bit hashes, of thousands of ids at once and without their texts.

To cut the ids out of a body and hash them one by one takes Python 0.35 us each, a quarter of what a
point costs; numpy takes 0.1 us to hash them where they are, eight bytes at a time.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

IdHashes: TypeAlias = npt.NDArray[np.uint64]
_Places: TypeAlias = npt.NDArray[np.intp]

_BEFORE: Final = b'"id"'
_COLON: Final = ord(":")
_NEW_LINE: Final = ord("\n")
_FIRST: Final = np.uint64(int.from_bytes(b'{"id":"', "little"))
_SEVEN: Final = np.uint64(2**56 - 1)  # bytes of a word

_WORD: Final = 8
_BIT: Final = np.uint64(1)
_ONES: Final = np.uint64(0x0101010101010101)
_HIGHS: Final = np.uint64(0x8080808080808080)
_QUOTES: Final = np.uint64(0x2222222222222222)
_SIGN: Final = np.uint64(7)
_HALF: Final = np.uint64(32)
_FACTOR: Final = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd
_MIX: Final = np.uint64(_FACTOR)

_MANY: Final = 32
"""From here on numpy is faster: it takes 50 us for a few ids, Python 1.5 us for each."""


def of_ids(ids: Sequence[str]) -> IdHashes:
    """Return the fingerprint of each id; equal ids have equal ones, up to their first quote."""
    texts = [id_.encode() for id_ in ids]
    if len(texts) < _MANY:
        return np.array(list(map(_hash, texts)), np.uint64)
    ends = np.cumsum(np.fromiter(map(len, texts), np.intp, len(texts)) + 1)
    starts = np.concatenate(([0], ends[:-1]))
    return _hashed(_words(b'"'.join(texts) + b'"'), starts)


def ends_of(lines: bytes) -> _Places:
    """Return where the lines of a text end."""
    return np.flatnonzero(np.frombuffer(lines, np.uint8) == _NEW_LINE)


def in_lines(lines: bytes, ends: _Places) -> IdHashes:
    """Return the same of the ids in compact JSON lines without escapes, given where the lines end.

    Each line has one `"id":`, its row's own.
    """
    words = _words(lines)
    begins = np.concatenate(([0], ends[:-1] + 1))
    if ((words[begins] & _SEVEN) == _FIRST).all():
        return _hashed(words, begins + len(b'{"id":"'))
    return _hashed(words, _behind_marks(lines))


def _behind_marks(lines: bytes) -> _Places:
    """Return where ids begin."""
    found = np.frombuffer(lines, np.uint8)
    quoted = found[: -len(_BEFORE)] == _BEFORE[0]
    for place, character in enumerate(_BEFORE[1:], 1):
        quoted &= found[place : place - len(_BEFORE)] == character
    ends = np.flatnonzero(quoted) + len(_BEFORE)
    begins: _Places = ends[found[ends] == _COLON] + len(b':"')
    return begins


def has_repeats(fingerprints: IdHashes) -> bool:
    """Say whether any two are equal."""
    ordered = np.sort(fingerprints)
    return bool((ordered[1:] == ordered[:-1]).any())


def _hash(text: bytes) -> int:
    """Hash one text as `_hashed` does."""
    text = text.partition(b'"')[0]
    mixed = 0
    for start in range(0, len(text) + 1, _WORD):
        word = int.from_bytes(text[start : start + _WORD], "little")
        mixed = (mixed ^ word) * _FACTOR % 2**64
        mixed ^= mixed >> 32
    return mixed


def _words(text: bytes) -> IdHashes:
    """Return the eight bytes from each byte on."""
    return np.ndarray((len(text) + 1,), "<u8", text + bytes(_WORD), strides=(1,))


def _hashed(words: IdHashes, starts: _Places) -> IdHashes:
    """Hash what is between each start and the next quote, all of them a word at a time."""
    hashes = np.zeros(len(starts), np.uint64)
    longer: _Places | None = None  # which ids are not at their end yet; None: all
    while True:
        word = words[starts]
        # The highest bit of each byte that is a quote, up to the first one, which is what counts
        # (Mycroft's test for a zero byte). Then only the bytes before it are left of the word.
        other = word ^ _QUOTES
        quotes = (other - _ONES) & ~other & _HIGHS
        word &= ((quotes & (~quotes + _BIT)) >> _SIGN) - _BIT
        mixed = ((hashes if longer is None else hashes[longer]) ^ word) * _MIX
        mixed ^= mixed >> _HALF
        if longer is None:
            hashes = mixed
        else:
            hashes[longer] = mixed
        open_ends = np.flatnonzero(quotes == 0)
        if not len(open_ends):
            return hashes
        if len(open_ends) < len(starts):
            longer = open_ends if longer is None else longer[open_ends]
            starts = starts[open_ends]
        starts = starts + _WORD
