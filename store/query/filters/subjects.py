"""Subjects of filters: the SQL of the value that a filter tests, and of the conditions on it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from store.query.fields import array_items, json_fields
from store.query.filters import operators
from store.query.sql import Slots

TRUE: Final = "1"

ConditionOf: TypeAlias = Callable[[str], str]
"""Builds a condition from the expression of a value."""


@dataclass(frozen=True, slots=True)
class LargeNumber:
    """Expressions that distinguish large integers, several of which share a double.

    `number` is the nearest double, or infinite. `group` is the canonical text.
    """

    number: str
    group: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a test: the expression of its value, and the condition that it is set.

    `passes` builds the condition, which must be 0 for rows without the value. `may_have` builds a
    quick search of the raw JSON for the prefix of a value; `prefilter_slices` says how much of an
    operand each operator searches for. With `items` each item of an array is tested.
    `is_large_integer` is 1 for integers beyond 64 bits, which the engine reads as texts.
    """

    value: str
    is_set: str = TRUE
    passes: Callable[[ConditionOf, str], str] = lambda test, value: test(value)
    may_have: Callable[[str], str] | None = None
    prefilter_slices: Mapping[str, slice] = field(default_factory=dict)
    large: LargeNumber | None = None
    is_large_integer: str = ""
    items: str = ""

    def passing(self, test: ConditionOf) -> str:
        """Return the condition that the value is set and passes a test."""
        return self.passes(test, self.value)


SubjectOf: TypeAlias = Callable[[Slots, Sequence[str]], Subject]


def optional(column: str) -> Subject:
    """Return a text column in which the empty text stands for a missing value."""
    is_set = f"{column} != ''"
    return Subject(column, is_set, lambda test, value: f"({is_set} AND {test(value)})")


def tag(slots: Slots, key: str) -> Subject:
    """Return a tag; its value is a text."""
    is_set = json_fields.tag_is_set(slots, key)
    return Subject(
        json_fields.tag_text(slots, key),
        is_set=is_set,
        passes=lambda test, value: f"{is_set} AND {test(value)}",
        may_have=functools.partial(json_fields.may_have_tag, slots, key),
    )


def text(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as a text."""
    subject = _property(slots, keys, json_fields.property_text(slots, keys), _or_false)
    return dataclasses.replace(subject, is_large_integer=json_fields.property_is_large(slots, keys))


def number(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as a number."""
    subject = _property(slots, keys, json_fields.property_number(slots, keys), _or_false)
    exact = LargeNumber(
        json_fields.property_any_number(slots, keys), json_fields.property_group(slots, keys)
    )
    return dataclasses.replace(subject, large=exact)


def cast_number(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as a number; numeric texts count as numbers."""
    return _property(
        slots, keys, json_fields.property_any_number(slots, keys, cast=True), _or_false
    )


def boolean(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as true or false."""
    subject = _property(slots, keys, json_fields.property_boolean(slots, keys), _or_false)
    return dataclasses.replace(subject, prefilter_slices=operators.PREFILTER_SLICE)


def instant(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as an instant."""
    return _property(slots, keys, json_fields.property_instant(slots, keys), _or_false)


def json(slots: Slots, keys: Sequence[str]) -> Subject:
    """Return a property as canonical JSON."""
    # No quick search first: after one the engine parses the JSON at each use of the expression.
    group = json_fields.property_group(slots, keys)
    return Subject(group, is_set=json_fields.property_is_set(slots, keys))


def item(slots: Slots, path: tuple[Sequence[str], Sequence[str]], kind: str) -> Subject:
    """Return the items of an array as texts, numbers, booleans, instants or JSON."""
    array = json_fields.property_items(slots, path)
    value = array_items.VALUES[kind]
    large = LargeNumber(array_items.NUMBER, array_items.ITEM) if kind == "number" else None
    is_set = f"notEmpty({array})"
    return Subject(value, is_set, _or_false, large=large, items=array)


PROPERTY: Final[Mapping[str, SubjectOf]] = {
    "string": text,
    "number": number,
    "cast_number": cast_number,
    "boolean": boolean,
    "datetime": instant,
    "json": json,
}
"""The subject of each member of a property's filter."""


def _or_false(test: ConditionOf, value: str) -> str:
    return f"ifNull({test(value)}, 0)"


def _property(
    slots: Slots, keys: Sequence[str], value: str, passes: Callable[[ConditionOf, str], str]
) -> Subject:
    return Subject(
        value,
        is_set=json_fields.property_is_set(slots, keys),
        passes=passes,
        may_have=functools.partial(json_fields.may_have_property, slots, keys),
    )
