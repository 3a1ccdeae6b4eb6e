"""Suggestions for an unknown name: the names most like it."""

import difflib
from collections.abc import Sequence
from typing import Final

MAX_SUGGESTIONS: Final = 3

_LIKENESS: Final = 0.7
_SHORTEST: Final = 3
_LONGEST: Final = 100
"""Characters of a name that are compared for typos: the time grows with their square."""

_NO_NAME: Final = 10_000
"""Characters of a text that is no name: its plain form takes 0.03 us for each."""


def near_names(name: str, candidates: Sequence[str]) -> list[str]:
    """Return the candidates that are most like a name, the best first, at most 3.

    The order: names that differ in case and punctuation only (`userType`, `user_type`); paths that
    end with the name; names that begin with it; names with typos; names that it begins with.
    """
    if len(name) > _NO_NAME:
        return []
    plain_name = _plain(name)
    plain_texts = {candidate: _plain(candidate) for candidate in candidates if candidate != name}
    same_letters = [candidate for candidate, text in plain_texts.items() if text == plain_name]
    same_last_key = [
        candidate
        for candidate, text in plain_texts.items()
        if _last_key(candidate) == plain_name or _last_key(name) == text
    ]
    longer = [candidate for candidate, text in plain_texts.items() if _is_prefix(plain_name, text)]
    by_text = {text: candidate for candidate, text in plain_texts.items() if len(text) <= _LONGEST}
    similar = difflib.get_close_matches(plain_name[:_LONGEST], by_text, MAX_SUGGESTIONS, _LIKENESS)
    shorter = [
        candidate
        for candidate, text in plain_texts.items()
        if _is_prefix(text, plain_name) and not name.startswith(f"{candidate}.")
    ]
    typos = [by_text[text] for text in similar]
    suggestions = dict.fromkeys([*same_letters, *same_last_key, *longer, *typos, *shorter])
    return list(suggestions)[:MAX_SUGGESTIONS]


def _plain(name: str) -> str:
    """Return the letters and digits of a name in lower case; a name without any stays."""
    return "".join(filter(str.isalnum, name.casefold())) or name


def _last_key(path: str) -> str:
    return _plain(path.rpartition(".")[2])


def _is_prefix(text: str, longer: str) -> bool:
    """Say whether a text of at least 3 letters begins a longer one."""
    return len(text) >= _SHORTEST and longer.startswith(text)
