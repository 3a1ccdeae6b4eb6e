"""Scalars of the GraphQL API, and the text forms of instants."""

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
"""Milliseconds since the epoch, UTC: the form in which the service handles every instant."""

RowInstant = NewType("RowInstant", object)
"""The instant of a row to record: an `Instant`, or an `UnreadableInstant` that refuses the row."""

Zone = NewType("Zone", str)
"""The IANA name of a time zone that exists, as `Europe/Berlin`."""

UTC_ZONE: Final = Zone("UTC")

Long = NewType("Long", int)
Json = NewType("Json", object)


def instant(moment: datetime) -> Instant:
    """Return an aware datetime as milliseconds, rounded down."""
    delta = moment - _EPOCH
    return Instant(delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000)


def rfc3339(moment: Instant) -> str:
    """Return `2025-10-30T12:34:56.789Z`."""
    seconds, ms = divmod(moment, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_instant(value: object) -> Instant:
    """Read an RFC 3339 text with an offset; anything else is a GraphQL input error."""
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
    """A value given for a DateTime that is none: the row that has it is refused, not the request.

    Every other input that has it is refused by `ReadableInstants`.
    """

    value: object
    reason: str

    @property
    def text(self) -> str:
        """The value if it is a text, else some text that is no instant either."""
        return self.value if isinstance(self.value, str) else repr(self.value)[:100]


def _parse_or_keep(value: object) -> Instant | UnreadableInstant:
    try:
        return parse_instant(value)
    except GraphQLError as error:
        return UnreadableInstant(value, error.message)


class UnreadableInstantError(AnalyticsError):
    """A refusal of an instant; `value` was given for it."""

    def __init__(self, field: str, instant: UnreadableInstant) -> None:
        """Refuse an instant that was given for a field of an input."""
        super().__init__("BAD_USER_INPUT", f"{field}: {instant.reason}", field=field)
        self.value = instant.value


class ReadableInstants:
    """Base of every input that has instants but is no row: refuses those that can't be read."""

    def __post_init__(self) -> None:
        """Raise the refusal of the first that can't be read."""
        for name, value in vars(self).items():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, UnreadableInstant):
                    raise UnreadableInstantError(name.strip("_"), item)


def parse_zone(text: object) -> Zone:
    """Read the name of a time zone; anything else is a GraphQL input error that quotes it."""
    if isinstance(text, str) and text in _zones():
        return Zone(text)
    quoted = f"{text!r:.100}"
    raise GraphQLError(f"TimeZone must be an IANA name like Europe/Berlin, not {quoted}")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """List the zones that have a name everywhere; it takes 20 ms to look for them."""
    return frozenset(available_timezones()) - {"Factory", "localtime"}


def _parse_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> object:
    """Read a value that is written into the document, where GraphQL reads 1e999 as infinity."""
    try:
        return _defined(value_from_ast_untyped(node, variables))
    except RecursionError:
        raise GraphQLError("JSON is nested too deeply") from None


def _defined(value: object) -> object:
    """Drop the variables that were not given: an entry goes, an item of a list is null."""
    match value:
        case dict():
            return {k: _defined(item) for k, item in value.items() if item is not Undefined}
        case list():
            return [None if item is Undefined else _defined(item) for item in value]
        case float() if not math.isfinite(value):
            raise GraphQLError("JSON has no number as large as this")
        case _:
            return value


def _parse_float_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> float:
    """Read a number that is written into the document as the same number in a variable is read.

    graphql-core's own parser rounds an integer to the nearest double, and reads 1e999.
    """
    if isinstance(node, IntValueNode | FloatValueNode):
        nearest = float(node.value)
        is_integer = isinstance(node, IntValueNode) and math.isfinite(nearest)
        number: float = GraphQLFloat.parse_value(int(node.value) if is_integer else nearest)
        return number
    unusual: float = GraphQLFloat.parse_literal(node)  # it raises
    return unusual


class _ExactFloat(GraphQLScalarType):
    # graphql-core reserves the name Float for its own.
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
        "Instant in RFC 3339 with an offset, as `2025-10-30T12:34:56.789Z`; always UTC with"
        " milliseconds on output. On input it is rounded down to milliseconds; letters may be lower"
        " case, and a space may stand for the T. A leap second (second 60) is refused."
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
            "ISO 8601 duration (`PT5M`, `P7D`, `P1Y2M3DT4H`); only its smallest unit can have a"
            " fraction (`PT1.5H`). Months and years are calendar lengths, and only `last` of a"
            " range takes them. The Prometheus short form (`5m`, `1h30m`, `7d`, also `1.5h`) is"
            " accepted on input."
        ),
        specified_by_url="https://en.wikipedia.org/wiki/ISO_8601#Durations",
        serialize=iso_duration,
        parse_value=parse_duration,
    ),
    Day: strawberry.scalar(
        name="Date",
        description="A day of the calendar, as `2026-06-01`.",
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
            "64-bit integer as a JSON number (GraphQL `Int` stops at 2^31-1; a count does not)."
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
