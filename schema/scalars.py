"""Scalars of the GraphQL API, and the text form of instants in both APIs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NewType
from zoneinfo import available_timezones

import strawberry
from graphql import (
    FloatValueNode,
    GraphQLError,
    GraphQLFloat,
    GraphQLNamedType,
    GraphQLScalarType,
    IntValueNode,
    Undefined,
    ValueNode,
    value_from_ast_untyped,
)
from strawberry.types.scalar import ScalarDefinition

from schema.errors import AnalyticsError
from schema.time.dates import Day, iso_date, parse_date
from schema.time.durations import DurationMs as DurationMs  # noqa: PLC0414 - its name elsewhere
from schema.time.durations import iso_duration, parse_duration
from schema.time.instants import parse_rfc3339

MS_PER_HOUR: Final = 3_600_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_1: Final = parse_rfc3339("0001-01-01T00:00:00Z")
_YEAR_10000: Final = parse_rfc3339("9999-12-31T23:59:59.999Z") + 1

Instant = NewType("Instant", int)
"""Milliseconds since 1970 in UTC: the form of every instant in the service."""

RowInstant = NewType("RowInstant", object)
"""Time of a row to record: an `Instant`, or an `UnreadableInstant` that rejects the row."""

Zone = NewType("Zone", str)
"""IANA name of an existing time zone, as `Europe/Berlin`."""

UTC_ZONE: Final = Zone("UTC")

Long = NewType("Long", int)
Json = NewType("Json", object)


def instant(moment: datetime) -> Instant:
    """Return an aware datetime as milliseconds, rounded down."""
    delta = moment - _EPOCH
    return Instant(delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000)


def rfc3339(moment: Instant) -> str:
    """Format an instant as `2025-10-30T12:34:56.789Z`."""
    seconds, ms = divmod(moment, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_instant(value: object) -> Instant:
    """Parse an RFC 3339 text with an offset. Raises `GraphQLError` for any other value."""
    if not isinstance(value, str):
        kind = "number" if isinstance(value, int | float) else "value of another type"
        raise GraphQLError(f"DateTime must be a text in RFC 3339, not a {kind}")
    try:
        moment = parse_rfc3339(value)
    except ValueError as error:
        raise GraphQLError(f"DateTime {error}") from None
    if not _YEAR_1 <= moment < _YEAR_10000:
        raise GraphQLError("DateTime must be in the years 0001 to 9999, in UTC")
    return Instant(moment)


@dataclass(frozen=True, slots=True)
class UnreadableInstant:
    """A DateTime argument that is no instant. In a row it rejects the row, not the request.

    In any other input `ReadableInstants` refuses it.
    """

    value: object
    reason: str

    @property
    def text(self) -> str:
        """The value if it is a text; else a text that is no instant."""
        return self.value if isinstance(self.value, str) else repr(self.value)[:100]


def _parse_or_keep(value: object) -> Instant | UnreadableInstant:
    try:
        return parse_instant(value)
    except GraphQLError as error:
        return UnreadableInstant(value, error.message)


class UnreadableInstantError(AnalyticsError):
    """Error of an argument that is no instant; `value` is the argument."""

    def __init__(self, field: str, instant: UnreadableInstant) -> None:
        """Create the error for a field of an input."""
        super().__init__("BAD_USER_INPUT", f"{field}: {instant.reason}", field=field)
        self.value = instant.value


class ReadableInstants:
    """Base of all inputs with instants, except rows: refuses unreadable instants."""

    def __post_init__(self) -> None:
        """Raise `UnreadableInstantError` for the first unreadable instant."""
        for name, value in vars(self).items():
            for entry in value if isinstance(value, list) else (value,):
                if isinstance(entry, UnreadableInstant):
                    raise UnreadableInstantError(name.strip("_"), entry)


def parse_zone(text: object) -> Zone:
    """Parse the name of a time zone. Raises `GraphQLError` that quotes any other value."""
    if isinstance(text, str) and text in _zones():
        return Zone(text)
    quotation = f"{text!r:.100}"
    raise GraphQLError(f"TimeZone must be an IANA name like Europe/Berlin, not {quotation}")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Return the names of all zones, without aliases of this machine. The search takes 20 ms."""
    return frozenset(available_timezones()) - {"Factory", "localtime"}


def _parse_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> object:
    """Parse a literal of the document. GraphQL itself would read 1e999 as infinity."""
    try:
        return _drop_undefined(value_from_ast_untyped(node, variables))
    except RecursionError:
        raise GraphQLError("JSON is nested too deeply") from None


def _drop_undefined(value: object) -> object:
    """Remove absent variables: members of objects vanish, entries of lists become null."""
    match value:
        case dict():
            return {
                key: _drop_undefined(member)
                for key, member in value.items()
                if member is not Undefined
            }
        case list():
            return [None if entry is Undefined else _drop_undefined(entry) for entry in value]
        case float() if not math.isfinite(value):
            raise GraphQLError("JSON has no number as large as this")
        case _:
            return value


def _parse_float_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> float:
    """Parse a literal of the document with the result of the same number in a variable.

    graphql-core's own parser rounds an integer to the nearest double, and accepts 1e999.
    """
    if isinstance(node, IntValueNode | FloatValueNode):
        nearest = float(node.value)
        is_integer = isinstance(node, IntValueNode) and math.isfinite(nearest)
        number: float = GraphQLFloat.parse_value(int(node.value) if is_integer else nearest)
        return number
    value: float = GraphQLFloat.parse_literal(node)  # raises for any other node
    return value


class _ExactFloat(GraphQLScalarType):
    # graphql-core reserves the name Float for its own scalar.
    reserved_types: Mapping[str, GraphQLNamedType] = {}


_FLOAT_PARTS: Final[dict[str, Any]] = dict(GraphQLFloat.to_kwargs())
_FLOAT: Final = ScalarDefinition(
    name="Float",
    description=None,
    specified_by_url=None,
    serialize=None,
    parse_value=None,
    parse_literal=None,
    implementation=_ExactFloat(**_FLOAT_PARTS | {"coerce_input_literal": _parse_float_literal}),
)

_DATE_TIME: Final = strawberry.scalar(
    name="DateTime",
    description=(
        "Instant in RFC 3339 with an offset, as `2025-10-30T12:34:56.789Z`. Output is UTC with"
        " milliseconds. Input is rounded down to milliseconds; letters may be lower case, and a"
        " space may replace the T. A leap second (second 60) is refused."
    ),
    specified_by_url="https://scalars.graphql.org/andimarek/date-time",
    serialize=rfc3339,
    parse_value=_parse_or_keep,
)

SCALARS: Final[dict[object, Any]] = {
    Instant: _DATE_TIME,
    RowInstant: _DATE_TIME,
    float: _FLOAT,
    DurationMs: strawberry.scalar(
        name="Duration",
        description=(
            "ISO 8601 duration (`PT5M`, `P7D`, `P1Y2M3DT4H`). Only the smallest unit may have a"
            " fraction (`PT1.5H`). Months and years are calendar lengths, allowed only in `last` of"
            " a range. Input may also have the short form of Prometheus (`5m`, `1h30m`, `7d`, also"
            " `1.5h`)."
        ),
        specified_by_url="https://en.wikipedia.org/wiki/ISO_8601#Durations",
        serialize=iso_duration,
        parse_value=parse_duration,
    ),
    Day: strawberry.scalar(
        name="Date",
        description="Calendar day, as `2026-06-01`.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date",
        serialize=iso_date,
        parse_value=parse_date,
    ),
    Zone: strawberry.scalar(
        name="TimeZone",
        description="IANA name of a time zone, as `Europe/Berlin` or `UTC`.",
        serialize=str,
        parse_value=parse_zone,
    ),
    Long: strawberry.scalar(
        name="Long",
        description=(
            "64-bit integer as a JSON number. GraphQL's `Int` ends at 2^31-1; counts may exceed it."
        ),
        serialize=int,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://ecma-international.org/publications-and-standards/standards/ecma-404/",
        serialize=_parse_json,
        parse_value=_parse_json,
        parse_literal=_parse_json_literal,
    ),
}
