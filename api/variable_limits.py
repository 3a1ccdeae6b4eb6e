"""The number of values in JSON text: counted before the text is decoded.

graphql-core takes 14 to 32 us to check an object, and 1 to 3 us for any other value. Each field
that uses a variable reads it again: 40 us for an object of a filter, 2 us for a text.
"""

from collections.abc import Mapping
from typing import Final

from schema.errors import AnalyticsError, limit_error
from schema.limits import (
    ARGUMENT_VALUES,
    MEMBER_CHARACTERS,
    VARIABLE_BYTES,
    VARIABLE_OBJECTS,
    VARIABLE_VALUES,
    Limit,
    LimitTable,
)
from store.ingest.json_structure import parts_outside_texts

_LONG_BYTES: Final = 1_048_576


def variables_refusal(text: bytes, limits: LimitTable) -> AnalyticsError | None:
    """Return the refusal of variables that are too long, or have too many values.

    Reads 1 MiB in 3 to 25 ms. Some texts of 15 MiB take all memory of a container of 1 GiB.
    """
    max_values, max_objects = limits[VARIABLE_VALUES], limits[VARIABLE_OBJECTS]
    if len(text) > limits[VARIABLE_BYTES].value:
        return _refusal(limits[VARIABLE_BYTES])
    if len(text) < _LONG_BYTES and _count_values(text) <= min(max_values.value, max_objects.value):
        return None
    values = objects = 0
    for part in parts_outside_texts(text):
        values += _count_values(part)
        objects += part.count(b"{")
        if values > max_values.value:
            return _refusal(max_values)
        if objects > max_objects.value:
            return _refusal(max_objects)
    return None


def names_refusal(variables: object, limits: LimitTable) -> AnalyticsError | None:
    """Return the refusal of variables with a member whose name is too long."""
    limit = limits[MEMBER_CHARACTERS]
    return _refusal(limit) if _has_long_names(variables, limit.value) else None


def _refusal(limit: Limit) -> AnalyticsError:
    return limit_error(limit, "BAD_USER_INPUT", "variables")


def check_uses(
    variables: Mapping[str, object], uses: Mapping[str, int], limits: LimitTable
) -> None:
    """Raise BAD_USER_INPUT if fields use variables so often that they read too many values."""
    for limit, count in count_uses(variables, uses).items():
        if count > limits[limit].value:
            raise _refusal(limits[limit])


def count_uses(variables: Mapping[str, object], uses: Mapping[str, int]) -> Mapping[Limit, int]:
    """Count objects and values that fields read from variables, which they use so often."""
    values = objects = 0
    for name, count in uses.items():
        value_count, object_count = _count_members(variables.get(name))
        values += count * value_count
        objects += count * object_count
    return {VARIABLE_OBJECTS: objects, ARGUMENT_VALUES: values}


def _count_members(value: object) -> tuple[int, int]:
    """Return the number of values within a value, with itself, and of objects."""
    values = objects = 0
    stack = [value]
    while stack:
        value = stack.pop()
        values += 1
        if isinstance(value, dict):
            objects += 1
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return values, objects


def _has_long_names(variables: object, max_characters: int) -> bool:
    """Return whether a member of the variables has a name that is too long.

    graphql-core takes 0.7 s to look for names like one of 15 MiB.
    """
    stack = [variables]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if any(len(name) > max_characters for name in value):
                return True
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return False


def _count_values(text: bytes) -> int:
    return text.count(b",") + text.count(b"{") + text.count(b"[")
