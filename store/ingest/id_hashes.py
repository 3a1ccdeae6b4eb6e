"""Fingerprints of client ids: 64-bit hashes, of thousands of ids at once and without their texts.

To cut the ids out of a body and hash them one by one takes Python 0.35 us each, a quarter of what a
point costs; numpy takes 0.1 us to hash them where they are, eight bytes at a time.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

IdHashes: TypeAlias = npt.NDArray[np.uint64]
_Offsets: TypeAlias = npt.NDArray[np.intp]

_ID_KEY: Final = b'"id"'
_COLON: Final = ord(":")
_LINE_FEED: Final = ord("\n")
_LINE_START: Final = np.uint64(int.from_bytes(b'{"id":"', "little"))
_SEVEN_BYTES: Final = np.uint64(2**56 - 1)  # bytes of a word

_WORD: Final = 8
_BIT: Final = np.uint64(1)
_LOW_BITS: Final = np.uint64(0x0101010101010101)
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_QUOTES: Final = np.uint64(0x2222222222222222)
_SIGN_SHIFT: Final = np.uint64(7)
_HALF_WORD: Final = np.uint64(32)
_FACTOR: Final = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd
_MIX: Final = np.uint64(_FACTOR)

_MIN_IDS_FOR_NUMPY: Final = 32
"""From here on numpy is faster: it takes 50 us for a few ids, Python 1.5 us for each."""


def hash_ids(ids: Sequence[str]) -> IdHashes:
    """Return the fingerprint of each id; equal ids have equal ones, up to their first quote."""
    texts = [id_.encode() for id_ in ids]
    if len(texts) < _MIN_IDS_FOR_NUMPY:
        return np.array(list(map(_hash_text, texts)), np.uint64)
    ends = np.cumsum(np.fromiter(map(len, texts), np.intp, len(texts)) + 1)
    starts = np.concatenate(([0], ends[:-1]))
    return _hash_words(_words_at_each_byte(b'"'.join(texts) + b'"'), starts)


def line_ends(lines: bytes) -> _Offsets:
    """Return where the lines of a text end."""
    return np.flatnonzero(np.frombuffer(lines, np.uint8) == _LINE_FEED)


def hash_ids_in_lines(lines: bytes, ends: _Offsets) -> IdHashes:
    """Return the same of the ids in compact JSON lines without escapes, given where the lines end.

    Each line has one `"id":`, its row's own.
    """
    words = _words_at_each_byte(lines)
    begins = np.concatenate(([0], ends[:-1] + 1))
    if ((words[begins] & _SEVEN_BYTES) == _LINE_START).all():
        return _hash_words(words, begins + len(b'{"id":"'))
    return _hash_words(words, _id_offsets(lines))


def _id_offsets(lines: bytes) -> _Offsets:
    """Return where ids begin."""
    characters = np.frombuffer(lines, np.uint8)
    matches = characters[: -len(_ID_KEY)] == _ID_KEY[0]
    for index, character in enumerate(_ID_KEY[1:], 1):
        matches &= characters[index : index - len(_ID_KEY)] == character
    ends = np.flatnonzero(matches) + len(_ID_KEY)
    begins: _Offsets = ends[characters[ends] == _COLON] + len(b':"')
    return begins


def has_repeats(hashes: IdHashes) -> bool:
    """Say whether any two are equal."""
    in_order = np.sort(hashes)
    return bool((in_order[1:] == in_order[:-1]).any())


def _hash_text(text: bytes) -> int:
    """Hash one text as `_hashed` does."""
    text = text.partition(b'"')[0]
    state = 0
    for start in range(0, len(text) + 1, _WORD):
        word = int.from_bytes(text[start : start + _WORD], "little")
        state = (state ^ word) * _FACTOR % 2**64
        state ^= state >> 32
    return state


def _words_at_each_byte(text: bytes) -> IdHashes:
    """Return the eight bytes from each byte on."""
    return np.ndarray((len(text) + 1,), "<u8", text + bytes(_WORD), strides=(1,))


def _hash_words(words: IdHashes, starts: _Offsets) -> IdHashes:
    """Hash what is between each start and the next quote, all of them a word at a time."""
    hashes = np.zeros(len(starts), np.uint64)
    open_ids: _Offsets | None = None  # which ids are not at their end yet; None: all
    while True:
        word = words[starts]
        # The highest bit of each byte that is a quote, up to the first one, which is what counts
        # (Mycroft's test for a zero byte). Then only the bytes before it are left of the word.
        difference = word ^ _QUOTES
        quotes = (difference - _LOW_BITS) & ~difference & _HIGH_BITS
        word &= ((quotes & (~quotes + _BIT)) >> _SIGN_SHIFT) - _BIT
        state = ((hashes if open_ids is None else hashes[open_ids]) ^ word) * _MIX
        state ^= state >> _HALF_WORD
        if open_ids is None:
            hashes = state
        else:
            hashes[open_ids] = state
        open_ends = np.flatnonzero(quotes == 0)
        if not len(open_ends):
            return hashes
        if len(open_ends) < len(starts):
            open_ids = open_ends if open_ids is None else open_ids[open_ends]
            starts = starts[open_ends]
        starts = starts + _WORD
