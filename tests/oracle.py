"""What a filter means, in plain Python: filters and rows are in the words of GraphQL."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

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
    def folded(text: str, given: Any) -> bool:
        fold = given.casefold() if isinstance(given, str) else [item.casefold() for item in given]
        return test(text.casefold(), fold)

    return folded


def _not(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, given: value is ABSENT or not test(value, given)


def _is(value: Any, given: Any) -> bool:
    return bool(value == given)


def _in(value: Any, given: Sequence[Any]) -> bool:
    return value in given


_STRING: Final[dict[str, Callable[[str, Any], bool]]] = {
    "eq": _is,
    "in": _in,
    "contains": lambda text, given: given in text,
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
    negatives = {name: _not(tests[of]) for name, of in _NEGATIVE.items() if of in tests}
    return tests | negatives


STRING: Final = _with_negatives(_STRING | {"like": _like, "matches": _matches})
ANY_CASE: Final = _with_negatives(
    {name: _any_case(test) for name, test in _STRING.items()}
    | {
        "like": lambda text, given: _like(text, given, re.IGNORECASE),
        "matches": lambda text, given: _matches(text, given, re.IGNORECASE),
    }
)
NUMBER: Final = _with_negatives(
    {
        "eq": _is,
        "in": _in,
        "gt": operator.gt,
        "gte": operator.ge,
        "lt": operator.lt,
        "lte": operator.le,
    }
)
BOOLEAN: Final = {"eq": _is}
TIME: Final = {name: NUMBER[name] for name in ("gt", "gte", "lt", "lte")}


def passes(given: Mapping[str, Any], row: Row, rows: Sequence[Row] = ()) -> bool:
    """Say whether a row passes a filter; `performed` looks at all of the `rows`."""
    return all(_part(part, tests, row, rows) for part, tests in given.items())


def _part(part: str, tests: Any, row: Row, rows: Sequence[Row]) -> bool:
    parts: dict[str, Callable[[], bool]] = {
        "AND": lambda: all(passes(child, row, rows) for child in tests),
        "OR": lambda: any(passes(child, row, rows) for child in tests),
        "NOT": lambda: not passes(tests, row, rows),
        "tag": lambda: _texts(tests["string"], row["tags"].get(tests["key"], ABSENT)),
        "property": lambda: _property(tests, row),
        "performed": lambda: _performed(tests, row, rows),
        "time": lambda: _all(TIME, tests, row["time"], is_set=True),
        "value": lambda: _all(NUMBER, tests, row["value"], is_set=True),
    }
    return parts[part]() if part in parts else _texts(tests, row[part] or ABSENT)


def _texts(tests: Mapping[str, Any], value: Any, *, is_set: bool | None = None) -> bool:
    table = STRING if tests.get("caseSensitive", True) else ANY_CASE
    tests = {name: given for name, given in tests.items() if name != "caseSensitive"}
    return _all(table, tests, value, is_set=value is not ABSENT if is_set is None else is_set)


def _all(
    table: Mapping[str, Callable[[Any, Any], bool]],
    tests: Mapping[str, Any],
    value: Any,
    *,
    is_set: bool,
) -> bool:
    for name, given in tests.items():
        if name == "isSet":
            passed = is_set == given
        elif name in ("neq", "notIn", "notContains", "notMatches"):
            passed = table[name](value, given)
        else:
            passed = value is not ABSENT and table[name](value, given)
        if not passed:
            return False
    return True


def _property(tests: Mapping[str, Any], row: Row) -> bool:
    value: Any = row["properties"]
    keys = re.sub(r"\\(.)|\.", lambda found: found[1] or "\0\0", tests["key"]).split("\0\0")
    for key in keys:
        value = value.get(key, ABSENT) if isinstance(value, dict) else ABSENT
    is_set = value is not ABSENT and value is not None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds: dict[str, tuple[bool, Callable[..., bool]]] = {
        "string": (isinstance(value, str), _texts),
        "number": (
            is_number,
            lambda tests, v, is_set: _all(
                NUMBER, tests, v if v is ABSENT else float(v), is_set=is_set
            ),
        ),
        "boolean": (
            isinstance(value, bool),
            lambda tests, v, is_set: _all(BOOLEAN, tests, v, is_set=is_set),
        ),
    }
    return all(
        test(tests[kind], value if fits else ABSENT, is_set=is_set)
        for kind, (fits, test) in kinds.items()
        if kind in tests
    )


def _performed(tests: Mapping[str, Any], row: Row, rows: Sequence[Row]) -> bool:
    if row["userId"] is None:
        return False
    done = [
        other
        for other in rows
        if other["userId"] == row["userId"]
        and other["name"] == tests["event"]
        and passes(tests.get("where", {}), other, rows)
    ]
    return _all(NUMBER, tests.get("count") or {"gte": 1}, len(done), is_set=True)
