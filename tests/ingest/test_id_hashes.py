"""Fingerprints of client ids: the same for the same id, however it came."""

from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.ingest.id_hashes import has_repeats, hash_ids, hash_ids_in_lines
from tests.harness.run_profile import short_or_long

BOUNDED = settings(deadline=None, max_examples=300, print_blob=True)
MANY: Final = 100  # numpy's way; that of a few is another

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1
)


def alone(id_: str) -> int:
    """Return the fingerprint of an id that came alone."""
    (number,) = hash_ids([id_]).tolist()
    return int(number)


@given(ids=st.lists(texts, min_size=1, max_size=60))
@BOUNDED
def test_an_id_has_one_in_any_company(ids: list[str]) -> None:
    """Whether an id comes alone or with others, and whatever is around it, makes no difference."""
    some = ids * (MANY // len(ids) + 1)
    assert hash_ids(some).tolist() == [alone(id_) for id_ in some]


@given(ids=st.lists(plain, min_size=1, max_size=60))
@BOUNDED
def test_an_id_has_the_same_one_in_a_line(ids: list[str]) -> None:
    """Cut out of a body of lines or not, an id's fingerprint is the same; other ids are not it."""
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
    """Ids that differ in one character, or by one at the end, differ; so for any length."""
    one = "a" * length
    others = [f"{one[:n]}b{one[n + 1 :]}" for n in range(length)]
    ids = [one, *others, f"{one}a", f"{one}b", *(one[:n] for n in range(length))]
    assert not has_repeats(hash_ids(ids))
    assert not has_repeats(hash_ids(ids + [f"{n}" for n in range(MANY)]))


def test_very_many_ids_are_all_different() -> None:
    """Counted, as UUIDs are, or padded: 64 bits are enough for a million not to collide."""
    for form in ("{}", "{:032x}", "{:<200}", "événement-{}"):
        assert not has_repeats(
            hash_ids([form.format(number) for number in range(short_or_long(100_000, 1_000_000))])
        )


def test_repeats_are_told() -> None:
    """Two equal ids in a batch are told wherever they are, also those that share all but a word."""
    ids = [f"{n:040}" for n in range(MANY)]
    for place in range(MANY):
        assert has_repeats(hash_ids([*ids, ids[place]]))
        assert has_repeats(hash_ids([ids[place], ids[place]]))
    assert not has_repeats(hash_ids([]))
