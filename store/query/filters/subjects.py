"""What a filter tests: expressions of one value, and how a test of it becomes a condition."""

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
"""Makes the text of a test from the expression of a value."""


@dataclass(frozen=True, slots=True)
class LargeNumber:
    """The expressions by which numbers are told apart of which several have the same double.

    `number` is infinite where no double is near, `group` the canonical text.
    """

    number: str
    group: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested: an expression of its value, and a condition for its being there.

    `passes` makes a condition of a test of the value, for rows that don't have it, too. `has` is a
    quick look whether the JSON of the value may begin so, `written` what operators want there.
    `items` is an array, each item of which is tested. `unless` holds for digits that are no text.
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
        """Return the condition that the value passes a test."""
        return self.passes(test, self.value)


SubjectOf: TypeAlias = Callable[[Slots, Sequence[str]], Subject]


def optional(column: str) -> Subject:
    """Return a column in which no text means that there is none."""
    is_set = f"{column} != ''"
    return Subject(column, is_set, lambda test, value: f"({is_set} AND {test(value)})")


def tag(slots: Slots, key: str) -> Subject:
    """Return a tag, whose value is a text."""
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
    """Return a property as a number, which texts can be, too."""
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
    # Not behind a quick look: there the engine would read the JSON at every place where it stands.
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
"""A property as what one of the parts of its filter tests."""


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
