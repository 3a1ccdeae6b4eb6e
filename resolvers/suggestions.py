"""Names that somebody may have meant who wrote another."""

import difflib
from collections.abc import Sequence
from typing import Final

MAX_SUGGESTIONS: Final = 3

_LIKENESS: Final = 0.7
_SHORTEST: Final = 3
_LONGEST: Final = 100
"""Longer names are compared by their beginnings only: the time grows with the square."""


def near_names(name: str, known: Sequence[str]) -> list[str]:
    """Return the known names that are most like a name, the best first.

    First those that differ in case and punctuation only (`userType`, `user_type`), then those that
    have it as the last key of their path, those that go on after it, those with typos, and its
    beginnings.
    """
    plain = _plain(name)
    names = {other: _plain(other) for other in known if other != name}
    same = [other for other, text in names.items() if text == plain]
    nested = [other for other in names if _last(other) == plain or _last(name) == _plain(other)]
    longer = [other for other, text in names.items() if _goes_on(plain, text)]
    texts = {text: other for other, text in names.items() if len(text) <= _LONGEST}
    close = difflib.get_close_matches(plain[:_LONGEST], texts, MAX_SUGGESTIONS, _LIKENESS)
    shorter = [
        other
        for other, text in names.items()
        if _goes_on(text, plain) and not name.startswith(f"{other}.")
    ]
    found = dict.fromkeys([*same, *nested, *longer, *map(texts.__getitem__, close), *shorter])
    return list(found)[:MAX_SUGGESTIONS]


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold())) or name


def _last(path: str) -> str:
    return _plain(path.rpartition(".")[2])


def _goes_on(text: str, longer: str) -> bool:
    return len(text) >= _SHORTEST and longer.startswith(text)
