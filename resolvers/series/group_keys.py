"""The keys of a group, as they are shown, and the filters that choose its rows."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from schema.catalogue import VALUE_TYPES, PropertyType
from schema.results import GroupKey
from schema.scalars import Json
from store.query.series.types import GroupColumn

_SAFE_DIGITS: Final = 15
"""An integer of so many digits is a double, for any client."""

Tests = dict[str, Any]


def group_keys(keys: Sequence[GroupColumn], texts: Sequence[str] | None) -> list[GroupKey]:
    """Return a group's keys by their texts in the engine; none for the series of all others."""
    if texts is None:
        return []
    return [_group_key(key, text) for key, text in zip(keys, texts, strict=True)]


def _group_key(key: GroupColumn, text: str) -> GroupKey:
    kind = _type_of(key, text)
    tests = _FILTERS[key.kind](key, text, kind)
    return GroupKey(name=key.name, value=_value(key, text, kind), type=kind, filter=Json(tests))


def _type_of(key: GroupColumn, text: str) -> PropertyType | None:
    if not text:
        return None
    if key.bounds:
        return PropertyType.NUMBER
    return VALUE_TYPES[ord(text[0])] if key.is_json else PropertyType.STRING


def _value(key: GroupColumn, text: str, kind: PropertyType | None) -> str | None:
    """Return a key's value: null where there is none, a text as such, all else as its JSON."""
    if kind is None:
        return None
    if not key.is_json:
        return text
    return display_text(text)


def display_text(text: str) -> str:
    """Return a canonical text as it is shown: a text as such, a number with all its digits."""
    if text.startswith('"'):
        value: str = msgspec.json.decode(text)
        return value
    if "e" in text and "e-" not in text and text[0] in "-0123456789":
        return str(int(float(text)))
    return text


def _of_tag(key: GroupColumn, text: str, kind: PropertyType | None) -> Tests:
    tests = {"isSet": False} if kind is None else {"eq": display_text(text)}
    return {"tag": {"key": key.name, "string": tests}}


def _of_field(key: GroupColumn, text: str, kind: PropertyType | None) -> Tests:
    return {_FIELDS[key.name]: {"isSet": False} if kind is None else {"eq": text}}


def _of_property(key: GroupColumn, text: str, kind: PropertyType | None) -> Tests:
    return {"property": {"key": key.name} | _tests(text, kind)}


def _tests(text: str, kind: PropertyType | None) -> Tests:
    """Return the tests that one value passes; what JavaScript can't hold it gets as a text."""
    match kind:
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
    is_integer = number.lstrip("-").isdigit()
    return len(number.lstrip("-")) <= _SAFE_DIGITS if is_integer else "e" not in number


def _of_band(key: GroupColumn, text: str, kind: PropertyType | None) -> Tests:
    bounds = key.bounds
    edges = [{"lt": bounds[0]}, *({"gte": a, "lt": b} for a, b in pairwise(bounds))]
    edges.append({"gte": bounds[-1]})
    if kind is None:
        return {"NOT": {"OR": [_band(key, {"lt": bounds[0]}), _band(key, {"gte": bounds[0]})]}}
    return _band(key, edges[key.labels.index(text)])


def _band(key: GroupColumn, tests: Mapping[str, float]) -> Tests:
    cast = {"cast": "NUMBER"} if key.cast else {}
    return {"property": {"key": key.name, "number": dict(tests)} | cast}


_FIELDS: Final = {"NAME": "name", "USER_ID": "userId", "SESSION_ID": "sessionId"}
_FILTERS: Final[Mapping[str, Callable[[GroupColumn, str, PropertyType | None], Tests]]] = {
    "tag": _of_tag,
    "field": _of_field,
    "property": _of_property,
    "band": _of_band,
}
"""The filter of a group, by what it is a group of."""
