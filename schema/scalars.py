"""Scalars of the GraphQL API, and the text forms of instants and durations."""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NewType
from zoneinfo import available_timezones

import strawberry
from graphql import GraphQLError, Undefined, ValueNode, value_from_ast_untyped

MS_PER_HOUR: Final = 3_600_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(
    r"P(?!$)(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?!$)(?:(?P<hours>\d{1,8})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9})S)?)?"
)
_SHORT_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_UNIT_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": MS_PER_HOUR,
    "d": 24 * MS_PER_HOUR,
    "w": 168 * MS_PER_HOUR,
}

Instant = NewType("Instant", int)
"""Milliseconds since the epoch, UTC: the form in which the service handles every instant."""

DurationMs = NewType("DurationMs", int)
"""A length of time in milliseconds."""

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


def parse_instant(text: object) -> Instant:
    """Read an RFC 3339 text with an offset; anything else is a GraphQL input error."""
    if isinstance(text, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", text, re.ASCII):
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return instant(moment.astimezone(UTC))  # which may overflow the year 1 or 9999
        except (ValueError, OverflowError):
            pass
    message = "DateTime must be RFC 3339 with an offset, like 2025-10-30T12:34:56.789Z"
    raise GraphQLError(message)


def parse_duration(text: object) -> DurationMs:
    """Read `PT5M`, `P7D` or the short `5m`; months and years have no fixed length."""
    if isinstance(text, str):
        if short := _SHORT_DURATION.fullmatch(text):
            return DurationMs(int(short[1]) * _UNIT_MS[short[2]])
        if iso := _DURATION.fullmatch(text):
            return DurationMs(
                sum(int(n) * _UNIT_MS[unit[0]] for unit, n in iso.groupdict().items() if n)
            )
    message = "Duration must be ISO 8601 like PT5M or P7D (weeks to seconds), or short like 5m"
    raise GraphQLError(message)


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


def _duration(length: DurationMs) -> str:
    return f"PT{length / 1000:g}S"


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


SCALARS: Final[dict[object, Any]] = {
    Instant: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 instant, always UTC with milliseconds on output.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=rfc3339,
        parse_value=parse_instant,
    ),
    DurationMs: strawberry.scalar(
        name="Duration",
        description=(
            "ISO-8601 duration (`PT5M`, `P7D`)."
            " The Prometheus short form (`5m`, `7d`) is accepted on input."
        ),
        specified_by_url="https://en.wikipedia.org/wiki/ISO_8601#Durations",
        serialize=_duration,
        parse_value=parse_duration,
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
