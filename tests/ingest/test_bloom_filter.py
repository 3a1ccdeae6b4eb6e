"""The Bloom filters of client ids: they may suspect a new id, but never miss an old one."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.ingest.bloom_filter import WINDOW_MS, RecentIds
from store.ingest.id_hashes import hash_ids
from tests.harness.run_profile import short_or_long

WORDS: Final = 2**14
MEMORY: Final = WORDS * 32  # four filters of eight bytes a word
SETTINGS = settings(deadline=None, max_examples=short_or_long(50, 200), print_blob=True)

ids = st.lists(st.one_of(st.integers(0, 40).map(str), st.text(max_size=3)), max_size=30)
pauses = st.sampled_from([0, 1, 3_600_000, WINDOW_MS // 2, WINDOW_MS, WINDOW_MS + 1, 3 * WINDOW_MS])


def make_ids(start: int, number: int) -> list[str]:
    """Return different ids, numbered from `start`."""
    return [f"id-{n}" for n in range(start, start + number)]


@given(steps=st.lists(st.tuples(ids, pauses), max_size=30), memory=st.sampled_from([1, MEMORY]))
@SETTINGS
def test_no_id_of_the_last_week_is_ever_new(
    steps: list[tuple[list[str], int]], memory: int
) -> None:
    """An id that comes again within seven days, in any batch, is suspected."""
    now = 1_800_000_000_000
    recent_ids = RecentIds(memory)
    last_times: dict[str, int] = {}
    for batch, pause in steps:
        suspects = recent_ids.add(hash_ids(batch), now)
        assert suspects == sorted(set(suspects))
        old = [
            n
            for n, client_id in enumerate(batch)
            if now - last_times.get(client_id, -WINDOW_MS) <= WINDOW_MS
        ]
        assert set(old) <= set(suspects)
        last_times |= dict.fromkeys(batch, now)
        now += pause


@given(batch=ids)
@SETTINGS
def test_ids_of_one_batch_are_not_suspected_of_one_another(batch: list[str]) -> None:
    """A new id that is twice in a batch is not suspected; in the next batch it is."""
    recent_ids = RecentIds(MEMORY)
    assert recent_ids.add(hash_ids(batch), 0) == []
    assert recent_ids.add(hash_ids(batch), 0) == list(range(len(batch)))


@pytest.mark.parametrize("number", [1, 1_000, 100_000])
def test_ids_that_share_a_word_are_all_remembered(number: int) -> None:
    """The filter keeps every id of a batch, however many ids share a word."""
    recent_ids = RecentIds(1)
    batch = make_ids(0, number)
    recent_ids.add(hash_ids(batch), 0)
    assert recent_ids.add(hash_ids(batch), 0) == list(range(number))


def test_ids_are_forgotten_in_the_end() -> None:
    """A filter is dropped when its youngest id is more than a week old."""
    recent_ids = RecentIds(MEMORY)
    third = WINDOW_MS // 3
    recent_ids.add(hash_ids(["old"]), 0)
    recent_ids.add(hash_ids(["last of its filter"]), third)
    assert recent_ids.add(hash_ids(["young"]), third + 1) == []
    assert recent_ids.add(hash_ids(["x"]), third + WINDOW_MS) == []
    assert recent_ids.add(hash_ids(["old", "young"]), third + WINDOW_MS) == [0, 1]
    assert recent_ids.add(hash_ids(["y"]), 4 * WINDOW_MS) == []
    assert recent_ids.add(hash_ids(["old", "young", "x"]), 4 * WINDOW_MS) == []


def test_memory_is_all_used_and_never_grows() -> None:
    """Many ids at once, or few over weeks, use all of the memory and never more."""
    for memory in (MEMORY, MEMORY + 1, 2 * MEMORY - 1, 10**6, short_or_long(2**21, 2**24)):
        for pause, number in ((0, memory // 64), (WINDOW_MS // 7, 1000)):
            recent_ids = RecentIds(memory)
            sizes = set()
            for turn in range(20):
                recent_ids.add(hash_ids(make_ids(turn * number, number)), turn * pause)
                sizes.add(sum(bloom_filter.words.nbytes for bloom_filter in recent_ids._filters))
            assert memory - 32 < max(sizes) <= memory


def test_no_memory_without_ids() -> None:
    """Without ids the filters take no memory."""
    assert RecentIds(2**40)._filters == []


@pytest.mark.parametrize(
    ("per_word", "rate", "turns"), [(2.0, 15 / 1_000_000, 4), (4.0, 15 / 10_000, 1)]
)
def test_new_ids_are_rarely_suspected(per_word: float, rate: float, turns: int) -> None:
    """The rate of suspected new ids is within a factor of 3 of the filter's theory."""
    probes = 1_000_000
    suspects = 0
    for turn in range(turns):
        recent_ids = RecentIds(MEMORY)
        id_count = int(WORDS * (3 + per_word))  # three filters have their share, the last the rest
        for start in range(0, id_count, WORDS):
            batch = make_ids(turn * 10_000_000 + start, min(WORDS, id_count - start))
            recent_ids.add(hash_ids(batch), 0)
        suspects += len(recent_ids.add(hash_ids(make_ids(turn * 10_000_000 + id_count, probes)), 0))
    expected = rate * probes * turns
    assert expected / 3 <= suspects <= expected * 3
