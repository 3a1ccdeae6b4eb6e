"""Parts of a filter that select every event or none, whatever is stored: deletions refuse them.

A variable that was forgotten leaves such a part behind, and then a deletion takes everything.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import re2
from strawberry.utils.str_converters import to_camel_case

from schema.errors import bad_input
from schema.filters import EventFilter, PropertyFilter
from schema.scalars import Instant
from store.query.filters.operators import NEGATIVE
from store.timestamps import MAX_TIME

Emptiness: TypeAlias = dict[str, Callable[[Any], bool]]
"""Whether an operator tests nothing with a value; a negative operator is as empty as its positive.
"""

_EPOCH: Final = Instant(0)

# A pattern that matches each of these alone tells no texts apart.
_TEXTS: Final = (*map(chr, range(32, 127)), "\t", "é", "中", "😀", "the quick brown fox " * 60)


def _never(_: object) -> bool:
    return False


def _always(_: object) -> bool:
    return True


def _nothing(given: object) -> bool:
    return not given


def _has_no_text(given: Sequence[str]) -> bool:
    return not given or "" in given


def _matches(*texts: str) -> Callable[[str], bool]:
    """Return a test for regular expressions that match all of some texts."""

    def test(pattern: str) -> bool:
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        try:
            compiled = re2.compile(pattern, options=options)
        except re2.error:  # the engine refuses it, too, and says why
            return False
        return all(compiled.search(text) for text in texts)

    return test


def _is_like(*texts: str) -> Callable[[str], bool]:
    """Return a test for LIKE patterns that pass all of some texts."""
    matches = _matches(*texts)
    wild = {"%": ".*", "_": "."}

    def test(pattern: str) -> bool:
        parts = re2.findall(r"(?s)\\[%_\\]|.", pattern)
        return matches(f"^{''.join(wild.get(part) or re2.escape(part[-1]) for part in parts)}$")

    return test


OF_ANYTHING: Final[Emptiness] = {
    "eq": _never,
    "in_": _nothing,
    "contains": _nothing,
    "starts_with": _nothing,
    "ends_with": _nothing,
    "like": _is_like("", *_TEXTS),
    "matches": _matches("", *_TEXTS),
    "gt": _never,
    "gte": _never,
    "lt": _never,
    "lte": _never,
    "is_set": _never,
}
"""Of a property, which may be missing, empty, or of another type."""

OF_OPTIONAL_TEXT: Final[Emptiness] = OF_ANYTHING | {
    "eq": _nothing,
    "in_": _has_no_text,
    "like": _is_like(*_TEXTS),
    "matches": _matches(*_TEXTS),
}
"""Of `userId` and `sessionId`, which may be missing, but are never the empty text."""

OF_NAME: Final[Emptiness] = OF_OPTIONAL_TEXT | {"is_set": _always}
"""Of `name`, which every event has."""

OF_TIME: Final[Emptiness] = OF_ANYTHING | {
    "gt": lambda given: not _EPOCH <= given < MAX_TIME,
    "gte": lambda given: not _EPOCH < given <= MAX_TIME,
    "lt": lambda given: not _EPOCH < given <= MAX_TIME,
    "lte": lambda given: not _EPOCH <= given < MAX_TIME,
}
"""Of `time`, which every event has, and which is from 1970 to 2099."""

_OF_FIELD: Final[Mapping[str, Emptiness]] = {
    "name": OF_NAME,
    "user_id": OF_OPTIONAL_TEXT,
    "session_id": OF_OPTIONAL_TEXT,
    "time": OF_TIME,
}


def check_selective(where: EventFilter, field: str) -> None:
    """Raise `AnalyticsError` that names the first part of a filter which selects nothing.

    Each filter, list and test in it is judged by itself: harmless beside another test, it is still
    not what was meant.
    """
    parts = _given(where)
    if not parts:
        raise _without_test(field)
    for name, (shown, part) in parts.items():
        place = f"{field}.{shown}"
        match part:
            case list():
                _check_branches(part, place)
            case EventFilter():
                check_selective(part, place)
            case PropertyFilter():
                _check_property(part, place)
            case _ if name == "performed":
                raise bad_input(place, "can't be used to delete; delete by `userId`")
            case _:
                _check_tests(part, _OF_FIELD[name], place)


def _check_branches(branches: Sequence[EventFilter], field: str) -> None:
    if not branches:
        raise bad_input(field, "must not be empty in a deletion")
    for index, branch in enumerate(branches):
        check_selective(branch, f"{field}[{index}]")


def _check_property(tests: PropertyFilter, field: str) -> None:
    parts = [part for part in _given(tests).values() if dataclasses.is_dataclass(part[1])]
    if not parts:
        raise _without_test(field)
    for shown, part in parts:
        _check_tests(part, OF_ANYTHING, f"{field}.{shown}")


def _check_tests(tests: object, empty: Emptiness, field: str) -> None:
    operators = {name: part for name, part in _given(tests).items() if name != "case_sensitive"}
    if not operators:
        raise _without_test(field)
    for name, (shown, given) in operators.items():
        if empty.get(NEGATIVE.get(name, name), _always)(given):
            message = "is true of every event or of none, so a deletion can't go by it"
            raise bad_input(f"{field}.{shown}", message)


def _without_test(field: str) -> Exception:
    return bad_input(field, "has no test; to delete every event, say `all: true` alone")


def _given(tests: Any) -> dict[str, tuple[str, Any]]:  # noqa: ANN401 - an input type
    """Return the parts of an input that are not null, each with its name in GraphQL."""
    parts: Sequence[Any] = dataclasses.fields(tests)
    return {
        part.name: (part.graphql_name or to_camel_case(part.python_name), given)
        for part in parts
        if (given := getattr(tests, part.name)) is not None
    }
