"""The memory of client ids alone: it may suspect a new id, but never takes an old one for new."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.ingest.bloom_filter import WINDOW_MS, RecentIds
from store.ingest.id_hashes import hash_ids
from tests.harness.run_profile import short_or_long

WORDS: Final = 2**14
MEMORY: Final = WORDS * 32  # four filters of eight bytes a word
BOUNDED = settings(deadline=None, max_examples=short_or_long(70, 200), print_blob=True)

ids = st.lists(st.one_of(st.integers(0, 40).map(str), st.text(max_size=3)), max_size=30)
pauses = st.sampled_from([0, 1, 3_600_000, WINDOW_MS // 2, WINDOW_MS, WINDOW_MS + 1, 3 * WINDOW_MS])


def numbered(start: int, number: int) -> list[str]:
    """Make ids that are all different."""
    return [f"id-{n}" for n in range(start, start + number)]


@given(steps=st.lists(st.tuples(ids, pauses), max_size=30), memory=st.sampled_from([1, MEMORY]))
@BOUNDED
def test_no_id_of_the_last_week_is_ever_new(
    steps: list[tuple[list[str], int]], memory: int
) -> None:
    """Whenever and in whatever company an id comes again within seven days, it is suspected."""
    now = 1_800_000_000_000
    seen = RecentIds(memory)
    added: dict[str, int] = {}
    for some, pause in steps:
        suspects = seen.add(hash_ids(some), now)
        assert suspects == sorted(set(suspects))
        old = [n for n, one in enumerate(some) if now - added.get(one, -WINDOW_MS) <= WINDOW_MS]
        assert set(old) <= set(suspects)
        added |= dict.fromkeys(some, now)
        now += pause


@given(some=ids)
@BOUNDED
def test_ids_of_one_batch_are_not_suspected_of_one_another(some: list[str]) -> None:
    """An id that is twice in a batch, and was never there before, is new; afterwards it is not."""
    seen = RecentIds(MEMORY)
    assert seen.add(hash_ids(some), 0) == []
    assert seen.add(hash_ids(some), 0) == list(range(len(some)))


@pytest.mark.parametrize("number", [1, 1_000, 100_000])
def test_ids_that_share_a_word_are_all_remembered(number: int) -> None:
    """However many ids of one batch fall into the same words, each of them is remembered."""
    seen = RecentIds(1)
    some = numbered(0, number)
    seen.add(hash_ids(some), 0)
    assert seen.add(hash_ids(some), 0) == list(range(number))


def test_ids_are_forgotten_in_the_end() -> None:
    """A filter is kept until the last of its ids is a week old, and then makes room."""
    seen = RecentIds(MEMORY)
    third = WINDOW_MS // 3
    seen.add(hash_ids(["old"]), 0)
    seen.add(hash_ids(["last of its filter"]), third)
    assert seen.add(hash_ids(["young"]), third + 1) == []
    assert seen.add(hash_ids(["x"]), third + WINDOW_MS) == []
    assert seen.add(hash_ids(["old", "young"]), third + WINDOW_MS) == [0, 1]
    assert seen.add(hash_ids(["y"]), 4 * WINDOW_MS) == []
    assert seen.add(hash_ids(["old", "young", "x"]), 4 * WINDOW_MS) == []


def test_memory_is_all_used_and_never_grows() -> None:
    """Many ids at once, or few for long, get all of the filters; none takes more than it may."""
    for memory in (MEMORY, MEMORY + 1, 2 * MEMORY - 1, 10**6, short_or_long(2**21, 2**24)):
        for pause, number in ((0, memory // 64), (WINDOW_MS // 7, 1000)):
            seen = RecentIds(memory)
            sizes = set()
            for turn in range(20):
                seen.add(hash_ids(numbered(turn * number, number)), turn * pause)
                sizes.add(sum(each.words.nbytes for each in seen._filters))
            assert memory - 32 < max(sizes) <= memory


def test_no_memory_without_ids() -> None:
    """Who sends no ids pays nothing for those who do."""
    assert RecentIds(2**40)._filters == []


@pytest.mark.parametrize(
    ("per_word", "rate", "turns"), [(2.0, 15 / 1_000_000, 4), (4.0, 15 / 10_000, 1)]
)
def test_new_ids_are_rarely_suspected(per_word: float, rate: float, turns: int) -> None:
    """At these loads of the filter about as many new ids are taken for old ones as it says."""
    probes = 1_000_000
    suspects = 0
    for turn in range(turns):
        seen = RecentIds(MEMORY)
        filled = int(WORDS * (3 + per_word))  # three filters have their share, the last the rest
        for start in range(0, filled, WORDS):
            some = numbered(turn * 10_000_000 + start, min(WORDS, filled - start))
            seen.add(hash_ids(some), 0)
        suspects += len(seen.add(hash_ids(numbered(turn * 10_000_000 + filled, probes)), 0))
    expected = rate * probes * turns
    assert expected / 3 <= suspects <= expected * 3
