"""Filters in plain Python; filters and rows have the names of GraphQL."""

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from tests.oracle.aggregates import identity

ABSENT: Final = object()

Row = Mapping[str, Any]


def _like(text: str, pattern: str, flags: int = 0) -> bool:
    parts = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    regex = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(regex, text, re.DOTALL | flags) is not None


def _matches(text: str, pattern: str, flags: int = 0) -> bool:
    return re.search(pattern, text, re.DOTALL | flags) is not None


def _any_case(test: Callable[[str, Any], bool]) -> Callable[[str, Any], bool]:
    def any_case_test(text: str, operand: Any) -> bool:
        fold = (
            operand.casefold()
            if isinstance(operand, str)
            else [item.casefold() for item in operand]
        )
        return test(text.casefold(), fold)

    return any_case_test


def _not(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: value is ABSENT or not test(value, operand)


def _equals(value: Any, operand: Any) -> bool:
    return bool(value == operand)


def _is_in(value: Any, operand: Sequence[Any]) -> bool:
    return value in operand


_STRING: Final[dict[str, Callable[[str, Any], bool]]] = {
    "eq": _equals,
    "in": _is_in,
    "contains": lambda text, operand: operand in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_NEGATIVE: Final = {
    "neq": "eq",
    "notIn": "in",
    "notContains": "contains",
    "notMatches": "matches",
}


def _with_negatives(tests: dict[str, Any]) -> dict[str, Callable[[Any, Any], bool]]:
    negatives = {
        name: _not(tests[positive]) for name, positive in _NEGATIVE.items() if positive in tests
    }
    return tests | negatives


STRING: Final = _with_negatives(_STRING | {"like": _like, "matches": _matches})
ANY_CASE: Final = _with_negatives(
    {name: _any_case(test) for name, test in _STRING.items()}
    | {
        "like": lambda text, operand: _like(text, operand, re.IGNORECASE),
        "matches": lambda text, operand: _matches(text, operand, re.IGNORECASE),
    }
)
NUMBER: Final = _with_negatives(
    {
        "eq": _equals,
        "in": _is_in,
        "gt": operator.gt,
        "gte": operator.ge,
        "lt": operator.lt,
        "lte": operator.le,
    }
)
BOOLEAN: Final = {"eq": _equals}
TIME: Final = {name: NUMBER[name] for name in ("gt", "gte", "lt", "lte")}


def passes(where: Mapping[str, Any], row: Row, rows: Sequence[Row] = ()) -> bool:
    """Say whether a row passes a filter; `performed` looks at all of the `rows`."""
    return all(_passes_part(part, tests, row, rows) for part, tests in where.items())


def _passes_part(part: str, tests: Any, row: Row, rows: Sequence[Row]) -> bool:
    parts: dict[str, Callable[[], bool]] = {
        "AND": lambda: all(passes(child, row, rows) for child in tests),
        "OR": lambda: any(passes(child, row, rows) for child in tests),
        "NOT": lambda: not passes(tests, row, rows),
        "tag": lambda: _passes_string(tests["string"], row["tags"].get(tests["key"], ABSENT)),
        "property": lambda: _passes_property(tests, row),
        "performed": lambda: _passes_performance(tests, row, rows),
        "time": lambda: _pass_all(TIME, tests, row["time"], is_set=True),
        "value": lambda: _pass_all(NUMBER, tests, row["value"], is_set=True),
    }
    return parts[part]() if part in parts else _passes_string(tests, row[part] or ABSENT)


def _passes_string(tests: Mapping[str, Any], value: Any, *, is_set: bool | None = None) -> bool:
    table = STRING if tests.get("caseSensitive", True) else ANY_CASE
    tests = {name: operand for name, operand in tests.items() if name != "caseSensitive"}
    return _pass_all(table, tests, value, is_set=value is not ABSENT if is_set is None else is_set)


def _pass_all(
    table: Mapping[str, Callable[[Any, Any], bool]],
    tests: Mapping[str, Any],
    value: Any,
    *,
    is_set: bool,
) -> bool:
    for name, operand in tests.items():
        if name == "isSet":
            is_match = is_set == operand
        elif name in ("neq", "notIn", "notContains", "notMatches"):
            is_match = table[name](value, operand)
        else:
            is_match = value is not ABSENT and table[name](value, operand)
        if not is_match:
            return False
    return True


JSON: Final = _with_negatives(
    {
        "eq": lambda value, operand: identity(value) == identity(json.loads(operand)),
        "in": lambda value, operand: (
            identity(value) in [identity(json.loads(text)) for text in operand]
        ),
    }
)


def instant(text: str) -> Fraction | None:
    """Return the exact milliseconds since 1970 of a text; None if it is no RFC 3339."""
    form = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))"
    match = re.fullmatch(form, text, re.ASCII | re.IGNORECASE)
    if not match:
        return None
    fraction, sign, hours, minutes = match.groups()[6:]
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    shift = 400 if year < 400 else 0  # years that Python lacks; 400 years are 146097 days
    try:
        moment = datetime(year + shift, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    epoch_time = moment - datetime(1970, 1, 1, tzinfo=UTC)
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    days = epoch_time.days - (146_097 if shift else 0)
    seconds = days * 86_400 + epoch_time.seconds - offset * 60
    return 1000 * (seconds + Fraction(int(fraction or 0), 10 ** len(fraction or "")))


def written_number(value: Any) -> float | None:
    """Return a number, or the number in a text, if JSON would write it so."""
    if isinstance(value, str):
        text = value.strip(" ")
        form = r"-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?"
        return float(text) if re.fullmatch(form, text) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_PARTS: Final[dict[str, tuple[Callable[[Any], Any], Mapping[str, Any] | None]]] = {
    "string": (lambda value: value if isinstance(value, str) else None, None),
    "number": (
        lambda value: (
            value if isinstance(value, int | float) and not isinstance(value, bool) else None
        ),
        NUMBER,
    ),
    "cast": (written_number, NUMBER),
    "boolean": (lambda value: value if isinstance(value, bool) else None, BOOLEAN),
    "datetime": (lambda value: instant(value) if isinstance(value, str) else None, TIME),
    "json": (lambda value: value, JSON),
}
"""The parts of a property's filter: the typed value that each tests, and its operators."""


def value_at(value: Any, keys: Sequence[str]) -> Any:
    """Walk through objects; `ABSENT` where there is nothing."""
    for key in keys:
        value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def _passes_property(tests: Mapping[str, Any], row: Row) -> bool:
    before, is_array, after = tests["key"].partition("[]")
    value = value_at(row["properties"], split_path(before))
    cast = "cast" if tests.get("cast") else "number"
    for name, operators in tests.items():
        if name in ("key", "cast"):
            continue
        part = cast if name == "number" else name
        if is_array:
            items = value if isinstance(value, list) else []
            if after:
                items = [value_at(item, split_path(after[1:])) for item in items]
            items = [item for item in items if item is not None and item is not ABSENT]
            is_match = _any_item(part, operators, items)
        else:
            is_match = _passes_property_part(part, operators, value)
        if not is_match:
            return False
    return True


def split_path(path: str) -> list[str]:
    """Split a path at its dots."""
    return re.sub(r"\\(.)|\.", lambda match: match[1] or "\0\0", path).split("\0\0")


def _passes_property_part(part: str, tests: Mapping[str, Any], value: Any) -> bool:
    is_set = value is not ABSENT and value is not None
    kind, table = _PARTS[part]
    typed_value = kind(value) if is_set else None
    typed_value = ABSENT if typed_value is None else typed_value
    if table is None:
        return _passes_string(tests, typed_value, is_set=is_set)
    return _pass_all(table, tests, typed_value, is_set=is_set)


def _any_item(part: str, tests: Mapping[str, Any], items: Sequence[Any]) -> bool:
    case = {name: operand for name, operand in tests.items() if name == "caseSensitive"}
    positive = {
        name: operand
        for name, operand in tests.items()
        if name not in (*_NEGATIVE, "isSet", "caseSensitive")
    }
    negative = [{name: operand} for name, operand in tests.items() if name in _NEGATIVE]
    is_match = "isSet" not in tests or bool(items) == tests["isSet"]
    is_match &= not positive or any(_passes_property_part(part, positive | case, i) for i in items)
    return is_match and all(
        _passes_property_part(part, test | case, i) for test in negative for i in items
    )


def _passes_performance(tests: Mapping[str, Any], row: Row, rows: Sequence[Row]) -> bool:
    if row["userId"] is None:
        return False
    events = [
        event
        for event in rows
        if event["userId"] == row["userId"]
        and event["name"] == tests["event"]
        and passes(tests.get("where", {}), event, rows)
    ]
    return _pass_all(NUMBER, tests.get("count") or {"gte": 1}, len(events), is_set=True)
