"""Group keys of a series: their display values, and filters that select the rows of a group."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import msgspec

from schema.catalogue import VALUE_TYPES, PropertyType
from schema.scalars import Json
from schema.series.results import GroupKey
from store.query.series.types import GroupColumn

_SAFE_DIGITS: Final = 15
"""Every integer of up to 15 digits is exact as a double, in any client."""

_Filter: TypeAlias = dict[str, Any]
"""A filter as JSON, in the form of the `where` argument."""


def group_keys(columns: Sequence[GroupColumn], texts: Sequence[str] | None) -> list[GroupKey]:
    """Return the keys of a group from the engine's texts; no keys for the other group (None)."""
    if texts is None:
        return []
    return [_group_key(column, text) for column, text in zip(columns, texts, strict=True)]


def _group_key(column: GroupColumn, text: str) -> GroupKey:
    value_type = _value_type(column, text)
    group_filter = _FILTERS[column.kind](column, text, value_type)
    return GroupKey(
        name=column.name,
        value=_display_value(column, text, value_type),
        type=value_type,
        filter=Json(group_filter),
    )


def _value_type(column: GroupColumn, text: str) -> PropertyType | None:
    """Return the type of a key's value; None where the value is missing."""
    if not text:
        return None
    if column.bounds:
        return PropertyType.NUMBER
    return VALUE_TYPES[ord(text[0])] if column.is_json else PropertyType.STRING


def _display_value(column: GroupColumn, text: str, value_type: PropertyType | None) -> str | None:
    """Return a value for display: a string without quotes, else its JSON; None if it is missing."""
    if value_type is None:
        return None
    return display_text(text) if column.is_json else text


def display_text(text: str) -> str:
    """Return a canonical JSON text for display: no quotes, and numbers with all their digits."""
    if text.startswith('"'):
        value: str = msgspec.json.decode(text)
        return value
    if "e" in text and "e-" not in text and text[0] in "-0123456789":
        return str(int(float(text)))
    return text


def _tag_filter(column: GroupColumn, text: str, value_type: PropertyType | None) -> _Filter:
    tests = {"isSet": False} if value_type is None else {"eq": display_text(text)}
    return {"tag": {"key": column.name, "string": tests}}


def _field_filter(column: GroupColumn, text: str, value_type: PropertyType | None) -> _Filter:
    tests = {"isSet": False} if value_type is None else {"eq": text}
    return {_FIELDS[column.name]: tests}


def _property_filter(column: GroupColumn, text: str, value_type: PropertyType | None) -> _Filter:
    return {"property": {"key": column.name} | _value_test(text, value_type)}


def _value_test(text: str, value_type: PropertyType | None) -> _Filter:
    """Return the test that one value passes; a number that JavaScript rounds is tested as JSON."""
    match value_type:
        case None:
            return {"string": {"isSet": False}}
        case PropertyType.STRING:
            return {"string": {"eq": display_text(text)}}
        case PropertyType.BOOLEAN:
            return {"boolean": {"eq": text == "true"}}
        case PropertyType.NUMBER if _is_safe(text):
            return {"number": {"eq": msgspec.json.decode(text)}}
    return {"json": {"eq": text}}


def _is_safe(number: str) -> bool:
    """Say whether a number has the same value in any client."""
    is_integer = number.lstrip("-").isdigit()
    return len(number.lstrip("-")) <= _SAFE_DIGITS if is_integer else "e" not in number


def _band_filter(column: GroupColumn, text: str, value_type: PropertyType | None) -> _Filter:
    bounds = column.bounds
    if value_type is None:
        low_tests, high_tests = {"lt": bounds[0]}, {"gte": bounds[0]}
        return {
            "NOT": {"OR": [_number_filter(column, low_tests), _number_filter(column, high_tests)]}
        }
    bands = [{"lt": bounds[0]}, *({"gte": low, "lt": high} for low, high in pairwise(bounds))]
    bands.append({"gte": bounds[-1]})
    return _number_filter(column, bands[column.labels.index(text)])


def _number_filter(column: GroupColumn, tests: Mapping[str, float]) -> _Filter:
    cast = {"cast": "NUMBER"} if column.cast else {}
    return {"property": {"key": column.name, "number": dict(tests)} | cast}


_FIELDS: Final = {"NAME": "name", "USER_ID": "userId", "SESSION_ID": "sessionId"}
_FILTERS: Final[Mapping[str, Callable[[GroupColumn, str, PropertyType | None], _Filter]]] = {
    "tag": _tag_filter,
    "field": _field_filter,
    "property": _property_filter,
    "band": _band_filter,
}
"""The filter of a group, by the kind of its column."""
