"""The operators of filters, as data: the engine's type of the operand, and the condition.

`NEGATIVE` maps each negative operator to the positive operator that it negates.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

Operators: TypeAlias = Mapping[str, tuple[str, str]]

NEGATIVE: Final[Mapping[str, str]] = {
    "neq": "eq",
    "not_in": "in_",
    "not_contains": "contains",
    "not_matches": "matches",
}

STRING_OPERATORS: Final[Operators] = {
    "eq": ("String", "{column} = {value}"),
    "in_": ("Array(String)", "{column} IN {value}"),
    "contains": ("String", "position({column}, {value}) > 0"),
    "starts_with": ("String", "startsWith({column}, {value})"),
    "ends_with": ("String", "endsWith({column}, {value})"),
    "like": ("String", "{column} LIKE {value}"),
    "matches": ("String", "match({column}, {value})"),
}

# lowerUTF8 turns Σ into one of two letters, by its position in a word; case folding does not.
ANY_CASE_OPERATORS: Final[Operators] = {
    "eq": ("String", "caseFoldUTF8({column}) = caseFoldUTF8({value})"),
    "in_": (
        "Array(String)",
        "caseFoldUTF8({column}) IN arrayMap(text -> caseFoldUTF8(text), {value})",
    ),
    "contains": ("String", "position(caseFoldUTF8({column}), caseFoldUTF8({value})) > 0"),
    "starts_with": ("String", "startsWith(caseFoldUTF8({column}), caseFoldUTF8({value}))"),
    "ends_with": ("String", "endsWith(caseFoldUTF8({column}), caseFoldUTF8({value}))"),
    "like": ("String", "{column} ILIKE {value}"),
    "matches": ("String", "match({column}, concat('(?i)', {value}))"),
}

# IN compares bits: + 0 turns a negative zero into zero.
NUMBER_OPERATORS: Final[Operators] = {
    "eq": ("Float64", "{column} = {value}"),
    "in_": ("Array(Float64)", "{column} + 0 IN {value}"),
    "gt": ("Float64", "{column} > {value}"),
    "gte": ("Float64", "{column} >= {value}"),
    "lt": ("Float64", "{column} < {value}"),
    "lte": ("Float64", "{column} <= {value}"),
}

BOOLEAN_OPERATORS: Final[Operators] = {"eq": ("UInt8", "{column} = {value}")}

TIME_OPERATORS: Final[Operators] = {
    "gt": ("Int64", "{column} > fromUnixTimestamp64Milli({value}, 'UTC')"),
    "gte": ("Int64", "{column} >= fromUnixTimestamp64Milli({value}, 'UTC')"),
    "lt": ("Int64", "{column} < fromUnixTimestamp64Milli({value}, 'UTC')"),
    "lte": ("Int64", "{column} <= fromUnixTimestamp64Milli({value}, 'UTC')"),
}

JSON: Final = "JSON"
JSON_OPERATORS: Final[Operators] = {
    "eq": (JSON, "{column} IN {value}"),
    "in_": (JSON, "{column} IN {value}"),
}
"""Operators of canonical texts; the operand is bound as a list of canonical texts."""

# The column is in half milliseconds, the operand in milliseconds.
INSTANT_OPERATORS: Final[Operators] = {
    "gt": ("Int64", "{column} > 2 * {value}"),
    "gte": ("Int64", "{column} >= 2 * {value}"),
    "lt": ("Int64", "{column} < 2 * {value}"),
    "lte": ("Int64", "{column} <= 2 * {value}"),
}

LARGE_NUMBER: Final = 2.0**53
"""The smallest double above which several integers share a double."""

_GREATER = "{column} > {value} OR {column} = {value} AND {is_greater}"
_SMALLER = "{column} < {value} OR {column} = {value} AND {is_smaller}"
LARGE_NUMBER_OPERATORS: Final[Mapping[str, str]] = {
    "gt": _GREATER,
    "gte": f"{_GREATER} OR {{is_equal}}",
    "lt": _SMALLER,
    "lte": f"{_SMALLER} OR {{is_equal}}",
}
"""Operators of numbers whose operand has a size of at least `LARGE_NUMBER`.

`is_greater`, `is_smaller` and `is_equal` compare the digits of an integer with the operand's.
"""

PREFILTER_SLICE: Final[Mapping[str, slice]] = {"eq": slice(None), "starts_with": slice(-1)}
"""Operators that allow a search of the raw JSON first: the slice of the operand's JSON to find."""

PATTERNS: Final = frozenset({"like", "matches"})
