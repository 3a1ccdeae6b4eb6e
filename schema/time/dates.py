"""Calendar dates."""

import re
from datetime import date
from typing import Final, NewType

from graphql import GraphQLError

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

Day = NewType("Day", int)
"""Calendar date, as the number of days since 1970-01-01."""


def parse_date(text: object) -> Day:
    """Parse `2026-06-01`. Raises `GraphQLError` for any other text, and for an impossible date."""
    if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return Day(date.fromisoformat(text).toordinal() - _EPOCH_DAY)
        except ValueError:
            pass
    raise GraphQLError("Date must be a day of the calendar like 2026-06-01")


def iso_date(day: Day) -> str:
    """Format a date as `2026-06-01`."""
    return date.fromordinal(_EPOCH_DAY + day).isoformat()
