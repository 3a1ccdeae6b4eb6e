"""Hashes of client ids: equal for equal ids, in any batch and format."""

from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.ingest.id_hashes import has_repeats, hash_ids, hash_ids_in_lines
from tests.harness.run_profile import short_or_long

SETTINGS = settings(deadline=None, max_examples=300, print_blob=True)
BATCH_IDS: Final = 100  # enough for the numpy path; few ids take another path

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1
)


def hash_alone(id_: str) -> int:
    """Return the hash of an id alone in its batch."""
    (number,) = hash_ids([id_]).tolist()
    return int(number)


@given(ids=st.lists(texts, min_size=1, max_size=60))
@SETTINGS
def test_an_id_has_one_hash_in_any_batch(ids: list[str]) -> None:
    """An id has the same hash alone and in a batch, whatever the other ids are."""
    batch = ids * (BATCH_IDS // len(ids) + 1)
    assert hash_ids(batch).tolist() == [hash_alone(id_) for id_ in batch]


@given(ids=st.lists(plain, min_size=1, max_size=60))
@SETTINGS
def test_an_id_has_the_same_hash_in_a_line(ids: list[str]) -> None:
    """An id has the same hash in a body of lines; other ids and texts of a line do not count."""
    lines = [
        {"id": id_, "metric_name": "id", "tags": {"xid": "id", "id:": "", "i": id_}} for id_ in ids
    ]
    lines += [dict(reversed(line.items())) for line in lines]
    body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    for text in (body, body[: len(body) // 2], body[len(body) // 2 :]):
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        assert (
            hash_ids_in_lines(text, ends).tolist()
            == hash_ids(ids * (len(ends) // len(ids))).tolist()
        )


@pytest.mark.parametrize("length", range(1, 42))
def test_every_character_counts(length: int) -> None:
    """Ids of any length that differ in one character, or by one at the end, have other hashes."""
    client_id = "a" * length
    variants = [f"{client_id[:n]}b{client_id[n + 1 :]}" for n in range(length)]
    ids = [
        client_id,
        *variants,
        f"{client_id}a",
        f"{client_id}b",
        *(client_id[:n] for n in range(length)),
    ]
    assert not has_repeats(hash_ids(ids))
    assert not has_repeats(hash_ids(ids + [f"{n}" for n in range(BATCH_IDS)]))


def test_very_many_ids_are_all_different() -> None:
    """Many ids, counted, like UUIDs or padded, have no collision in 64 bits."""
    for form in ("{}", "{:032x}", "{:<200}", "événement-{}"):
        assert not has_repeats(
            hash_ids([form.format(number) for number in range(short_or_long(100_000, 1_000_000))])
        )


def test_repeats_are_detected() -> None:
    """Two equal ids in a batch are detected anywhere, among ids that share all but a word."""
    ids = [f"{n:040}" for n in range(BATCH_IDS)]
    for index in range(BATCH_IDS):
        assert has_repeats(hash_ids([*ids, ids[index]]))
        assert has_repeats(hash_ids([ids[index], ids[index]]))
    assert not has_repeats(hash_ids([]))
