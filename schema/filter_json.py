"""Filters as JSON, in the shape that GraphQL gives them: read from it, and written.

Other inputs are only written: GraphQL reads them.
"""

import dataclasses
import functools
import sys
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import (
    Any,
    Final,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.utils.str_converters import to_camel_case

from schema import filters
from schema.errors import bad_input
from schema.scalars import DurationMs, Instant, rfc3339
from schema.time.dates import Day, iso_date
from schema.time.durations import iso_duration
from schema.time.instants import parse_rfc3339

F = TypeVar("F")

_TEXTS: Final[Mapping[Any, Callable[[Any], str]]] = {
    Instant: rfc3339,
    DurationMs: iso_duration,
    Day: iso_date,
}
"""Scalars that JSON has as texts."""

_MAX_DEPTH: Final = 100
"""Nested objects and lists; a filter has at most 20 levels of a few objects each."""


class _Member(NamedTuple):
    """A member of an input: its name in Python, type and default, and whether null is allowed."""

    name: str
    type: Any
    default: object
    is_optional: bool


def filter_from_json(kind: type[F], value: object, field: str) -> F:
    """Return the filter that JSON describes; `field` is its name in errors.

    Raises BAD_USER_INPUT that names the wrong member.
    """
    return cast("F", _read(kind, value, field, 0))


def filter_to_json(where: object) -> Any:  # noqa: ANN401 - JSON
    """Return an input, or a part of one, as JSON; members with their default are left out."""
    if isinstance(where, list):
        return [filter_to_json(entry) for entry in where]
    if isinstance(where, Enum):
        return where.name
    if not dataclasses.is_dataclass(where) or isinstance(where, type):
        return where
    content = {}
    for name, member in _members(type(where)).items():
        value = getattr(where, member.name)
        if value is not None and value != member.default:
            text = _TEXTS.get(member.type)
            content[name] = text(value) if text else filter_to_json(value)
    return content


def _read(kind: Any, value: object, field: str, depth: int) -> object:  # noqa: ANN401 - any type
    if depth > _MAX_DEPTH:
        raise bad_input(field, "is nested too deeply")
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise bad_input(field, "must be a list")
        (entry,) = get_args(kind)
        return [_read(entry, part, f"{field}[{n}]", depth + 1) for n, part in enumerate(value)]
    if dataclasses.is_dataclass(kind):
        return _read_object(kind, value, field, depth)
    if isinstance(kind, type) and issubclass(kind, Enum):
        if value not in kind.__members__:
            raise bad_input(field, f"must be one of {', '.join(kind.__members__)}")
        return kind[str(value)]
    try:
        if kind is Instant:
            return Instant(parse_rfc3339(msgspec.convert(value, str)))
        return msgspec.convert(value, kind)
    except ValueError as error:  # msgspec's are such errors, too
        raise bad_input(field, str(error)) from None


def _read_object(kind: Any, value: object, field: str, depth: int) -> object:  # noqa: ANN401 - any type
    if not isinstance(value, dict):
        raise bad_input(field, "must be an object")
    members = _members(kind)
    parts: dict[str, object] = {}
    for name, part in value.items():
        if name not in members:
            raise bad_input(f"{field}.{str(name)[:100]}", "is no member of such a filter")
        member = members[name]
        if part is not None:
            parts[member.name] = _read(member.type, part, f"{field}.{name}", depth + 1)
    for name, member in members.items():
        if not member.is_optional and member.name not in parts:
            raise bad_input(f"{field}.{name}", "is needed")
    return kind(**parts)


@functools.cache
def _members(kind: type) -> Mapping[str, _Member]:
    """Return the members of an input type by their names in GraphQL."""
    definition: StrawberryObjectDefinition = kind.__strawberry_definition__  # type: ignore[attr-defined]  # Strawberry adds it
    hints = get_type_hints(kind, vars(filters) | vars(sys.modules[kind.__module__]))
    return {
        field.graphql_name or to_camel_case(field.python_name): _member(
            field.python_name, hints[field.python_name], field.default
        )
        for field in definition.fields
    }


def _member(name: str, hint: Any, default: object) -> _Member:  # noqa: ANN401 - any type
    if get_origin(hint) not in {Union, types.UnionType}:
        return _Member(name, hint, default, is_optional=False)
    (kind,) = (part for part in get_args(hint) if part is not type(None))
    return _Member(name, kind, default, is_optional=True)
