"""Bodies become lines of compact JSON, whatever their texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.ingest.body_lines import compact, lines_of
from store.ingest.id_hashes import line_ends

pytestmark = pytest.mark.check

TEXTS = st.text(st.sampled_from('a {}[]:,é"\\'), max_size=80)
"""Texts of JSON's own signs; 64 bytes are a word of the search for texts."""


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return values of any depth."""
    scalars = st.none() | st.booleans() | st.integers(0, 1000) | texts
    return st.recursive(
        scalars,
        lambda items: st.lists(items, max_size=3) | st.dictionaries(texts, items, max_size=3),
        max_leaves=8,
    )


def rows(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return some rows with a value of any form."""
    return st.lists(st.fixed_dictionaries({"name": texts, "value": values(texts)}), min_size=1)


def ndjson(items: list[dict[str, Any]], comma: str, colon: str) -> bytes:
    """Return rows as lines."""
    lines = [json.dumps(item, ensure_ascii=False, separators=(comma, colon)) for item in items]
    return "".join(f"{line}\n" for line in lines).encode()


@given(rows(TEXTS), st.booleans())
def test_spaces_of_texts_stay(items: list[dict[str, Any]], is_known: bool) -> None:
    """Only spaces outside of texts go, whether their number is known or not."""
    spaced_lines, expected = ndjson(items, ", ", ": "), ndjson(items, ",", ":")
    spaces = len(spaced_lines) - len(expected) if is_known else None
    assert compact(spaced_lines, spaces) == expected


@given(rows(TEXTS), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_arrays_are_cut_at_braces(
    items: list[dict[str, Any]], indent: int | str | None, is_compact: bool
) -> None:
    """An array becomes its rows, and a line feed replaces each comma between two braces."""
    separators = (",", ":") if is_compact else None
    body = json.dumps(items, ensure_ascii=False, indent=indent, separators=separators).encode()
    compact_array = json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode()
    lines = lines_of(body)
    assert lines
    assert lines.text == compact_array[1:-1].replace(b"},{", b"}\n{") + b"\n"
    assert lines.ends.tolist() == line_ends(lines.text).tolist()
