"""Timestamps of rows: strings or numbers in a unit, converted to milliseconds since 1970."""

from dataclasses import dataclass
from typing import Final

from schema.errors import AnalyticsError, bad_input
from schema.scalars import Instant
from schema.time.instants import parse_rfc3339

MAX_TIME: Final = Instant(4_102_444_799_999)  # 2099 ends, well inside the engine's DateTime64
MIN_BARE_NUMBER: Final = 10**11
"""A smaller number of milliseconds (before March 1973) is more likely a number of seconds."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of numeric timestamps."""

    symbol: str
    plural: str
    per_second: int

    def milliseconds(self, number: int) -> int:
        """Convert a number of this unit, rounding down."""
        return number * 1000 // self.per_second


UNITS: Final = {
    unit.symbol: unit
    for unit in (
        Unit("s", "seconds", 1),
        Unit("ms", "milliseconds", 1000),
        Unit("us", "microseconds", 10**6),
        Unit("ns", "nanoseconds", 10**9),
    )
}
MILLISECONDS: Final = UNITS["ms"]


def instant_of(field: str, value: str | float, unit: Unit | None) -> Instant:
    """Return a timestamp as an instant.

    `unit` is the unit of numbers, None if the sender gave none. Raises `AnalyticsError` with the
    field and the limit.
    """
    if isinstance(value, str):
        try:
            moment = parse_rfc3339(value)
        except ValueError as error:
            raise bad_input(field, str(error)) from None
        if not 0 <= moment <= MAX_TIME:
            raise time_out_of_range(field)
        return Instant(moment)
    return _instant_of_number(field, value, unit)


def _instant_of_number(field: str, value: float, unit: Unit | None) -> Instant:
    number, sent_in = int(value), unit or MILLISECONDS
    if number != value:
        raise bad_input(field, f"must be a whole number of {sent_in.plural}")
    if unit is None and 0 <= number < MIN_BARE_NUMBER:
        message = (
            f"looks like seconds: below {MIN_BARE_NUMBER} the unit of a number must be said,"
            " by precision=s (seconds) or precision=ms (milliseconds)"
        )
        raise bad_input(field, message, limit=MIN_BARE_NUMBER)
    moment = sent_in.milliseconds(number)
    if not 0 <= moment <= MAX_TIME:
        raise time_out_of_range(field, _finer_unit_hint(number, sent_in))
    return Instant(moment)


def _finer_unit_hint(number: int, sent_in: Unit) -> str:
    """Return a hint to the finer unit in which a too large number would be plausible, or ''."""
    for unit in UNITS.values():
        is_finer = unit.per_second > sent_in.per_second
        if is_finer and MIN_BARE_NUMBER <= unit.milliseconds(number) <= MAX_TIME:
            return f" in {sent_in.plural}; it looks like {unit.plural}: precision={unit.symbol}"
    return ""


def time_out_of_range(field: str, hint: str = "") -> AnalyticsError:
    """Return the error for a time before 1970 or after 2099."""
    return bad_input(field, f"must be from 1970 to 2099{hint}", limit=MAX_TIME)
