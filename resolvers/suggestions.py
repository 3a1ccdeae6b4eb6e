"""Names that somebody may have meant who wrote another."""

import difflib
from collections.abc import Sequence
from typing import Final

MAX_SUGGESTIONS: Final = 3

_LIKENESS: Final = 0.7
_SHORTEST: Final = 3
_LONGEST: Final = 100
"""Longer names are compared by their beginnings only: the time grows with the square."""


def near_names(name: str, candidates: Sequence[str]) -> list[str]:
    """Return the known names that are most like a name, the best first.

    First those that differ in case and punctuation only (`userType`, `user_type`), then those that
    have it as the last key of their path, those that go on after it, those with typos, and its
    beginnings.
    """
    plain_name = _plain(name)
    names = {candidate: _plain(candidate) for candidate in candidates if candidate != name}
    same_letters = [candidate for candidate, text in names.items() if text == plain_name]
    nested_paths = [
        candidate
        for candidate in names
        if _last(candidate) == plain_name or _last(name) == _plain(candidate)
    ]
    longer = [candidate for candidate, text in names.items() if _goes_on(plain_name, text)]
    texts = {text: candidate for candidate, text in names.items() if len(text) <= _LONGEST}
    similar = difflib.get_close_matches(plain_name[:_LONGEST], texts, MAX_SUGGESTIONS, _LIKENESS)
    shorter = [
        candidate
        for candidate, text in names.items()
        if _goes_on(text, plain_name) and not name.startswith(f"{candidate}.")
    ]
    suggestions = dict.fromkeys(
        [*same_letters, *nested_paths, *longer, *map(texts.__getitem__, similar), *shorter]
    )
    return list(suggestions)[:MAX_SUGGESTIONS]


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold())) or name


def _last(path: str) -> str:
    return _plain(path.rpartition(".")[2])


def _goes_on(text: str, longer: str) -> bool:
    return len(text) >= _SHORTEST and longer.startswith(text)
