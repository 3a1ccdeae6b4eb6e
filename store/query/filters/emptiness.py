"""Empty tests: parts of a filter that every event passes, or none, whatever is stored.

Deletions refuse empty tests. A forgotten variable leaves one, and would delete all events.
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
"""For each operator, whether a test with an operand is empty.

A negative operator has the entry of its positive operator.
"""

_EPOCH: Final = Instant(0)

# A pattern that matches every one of these texts counts as a pattern that matches all texts.
_TEXTS: Final = (*map(chr, range(32, 127)), "\t", "é", "中", "😀", "the quick brown fox " * 60)


def _never(_: object) -> bool:
    return False


def _always(_: object) -> bool:
    return True


def _is_empty(operand: object) -> bool:
    return not operand


def _has_no_text(texts: Sequence[str]) -> bool:
    return not texts or "" in texts


def _matches(*texts: str) -> Callable[[str], bool]:
    """Return a function that says whether a regular expression matches all texts."""

    def test(pattern: str) -> bool:
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        try:
            regex = re2.compile(pattern, options=options)
        except re2.error:  # the engine refuses it, too, with the reason
            return False
        return all(regex.search(text) for text in texts)

    return test


def _is_like(*texts: str) -> Callable[[str], bool]:
    """Return a function that says whether a LIKE pattern matches all texts."""
    matches = _matches(*texts)
    wildcards = {"%": ".*", "_": "."}

    def test(pattern: str) -> bool:
        tokens = re2.findall(r"(?s)\\[%_\\]|.", pattern)
        regex = "".join(wildcards.get(token) or re2.escape(token[-1]) for token in tokens)
        return matches(f"^{regex}$")

    return test


PROPERTY_EMPTINESS: Final[Emptiness] = {
    "eq": _never,
    "in_": _is_empty,
    "contains": _is_empty,
    "starts_with": _is_empty,
    "ends_with": _is_empty,
    "like": _is_like("", *_TEXTS),
    "matches": _matches("", *_TEXTS),
    "gt": _never,
    "gte": _never,
    "lt": _never,
    "lte": _never,
    "is_set": _never,
}
"""For properties, which may be missing, empty, or of another type."""

OPTIONAL_TEXT_EMPTINESS: Final[Emptiness] = PROPERTY_EMPTINESS | {
    "eq": _is_empty,
    "in_": _has_no_text,
    "like": _is_like(*_TEXTS),
    "matches": _matches(*_TEXTS),
}
"""For `userId` and `sessionId`, which may be missing, but are never the empty text."""

NAME_EMPTINESS: Final[Emptiness] = OPTIONAL_TEXT_EMPTINESS | {"is_set": _always}
"""For `name`, which every event has."""

TIME_EMPTINESS: Final[Emptiness] = PROPERTY_EMPTINESS | {
    "gt": lambda operand: not _EPOCH <= operand < MAX_TIME,
    "gte": lambda operand: not _EPOCH < operand <= MAX_TIME,
    "lt": lambda operand: not _EPOCH < operand <= MAX_TIME,
    "lte": lambda operand: not _EPOCH <= operand < MAX_TIME,
}
"""For `time`, which every event has, from 1970 to 2099."""

_FIELD_EMPTINESS: Final[Mapping[str, Emptiness]] = {
    "name": NAME_EMPTINESS,
    "user_id": OPTIONAL_TEXT_EMPTINESS,
    "session_id": OPTIONAL_TEXT_EMPTINESS,
    "time": TIME_EMPTINESS,
}


def check_selective(where: EventFilter, field: str) -> None:
    """Raise `AnalyticsError` that names the first empty part of a filter.

    Each filter, list and test is judged alone. An empty part is a mistake even where another test
    makes it harmless.
    """
    members = _set_members(where)
    if not members:
        raise _without_test(field)
    for name, (graphql_name, member) in members.items():
        member_field = f"{field}.{graphql_name}"
        match member:
            case list():
                _check_branches(member, member_field)
            case EventFilter():
                check_selective(member, member_field)
            case PropertyFilter():
                _check_property(member, member_field)
            case _ if name == "performed":
                raise bad_input(member_field, "can't be used to delete; delete by `userId`")
            case _:
                _check_tests(member, _FIELD_EMPTINESS[name], member_field)


def _check_branches(branches: Sequence[EventFilter], field: str) -> None:
    if not branches:
        raise bad_input(field, "must not be empty in a deletion")
    for index, branch in enumerate(branches):
        check_selective(branch, f"{field}[{index}]")


def _check_property(tests: PropertyFilter, field: str) -> None:
    members = [part for part in _set_members(tests).values() if dataclasses.is_dataclass(part[1])]
    if not members:
        raise _without_test(field)
    for graphql_name, member in members:
        _check_tests(member, PROPERTY_EMPTINESS, f"{field}.{graphql_name}")


def _check_tests(tests: object, emptiness: Emptiness, field: str) -> None:
    operators = _set_members(tests)
    operators.pop("case_sensitive", None)
    if not operators:
        raise _without_test(field)
    for name, (graphql_name, operand) in operators.items():
        if emptiness.get(NEGATIVE.get(name, name), _always)(operand):
            message = "is true of every event or of none, so a deletion can't go by it"
            raise bad_input(f"{field}.{graphql_name}", message)


def _without_test(field: str) -> Exception:
    return bad_input(field, "has no test; to delete every event, say `all: true` alone")


def _set_members(filter_input: Any) -> dict[str, tuple[str, Any]]:  # noqa: ANN401 - an input type
    """Return the members of an input that are not null, each with its name in GraphQL."""
    members: Sequence[Any] = dataclasses.fields(filter_input)
    return {
        member.name: (member.graphql_name or to_camel_case(member.python_name), value)
        for member in members
        if (value := getattr(filter_input, member.name)) is not None
    }
