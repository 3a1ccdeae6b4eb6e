"""Parser of RFC 3339 texts, the only one: for both APIs and for every format."""

import re
from datetime import date
from typing import Final

_EXAMPLE: Final = "2025-10-30T12:34:56.789Z"
_TEXT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?P<offset>[Zz]|([-+])([0-9]{2}):([0-9]{2}))?"
)
_LAST_HOUR: Final = 23
_LAST_MINUTE: Final = 59
_LEAP_SECOND: Final = 60
_DAYS_TO_1970: Final = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097


def parse_rfc3339(text: str) -> int:
    """Return the milliseconds since 1970 of an RFC 3339 text, rounded down.

    Letters may be lower case, and a space may stand for the T (RFC 3339, 5.6). Years are 0000 to
    9999. Raises `ValueError` with the reason, which reads well after the name of the field.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"must be RFC 3339 with an offset, like {_EXAMPLE}")
    if match["offset"] is None:
        raise ValueError(f"must have an offset: Z or one like +02:00, as in {_EXAMPLE}")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    if second == _LEAP_SECOND:
        message = "must not be a leap second, which has no place in a count of milliseconds"
        raise ValueError(f"{message}: send second 59")
    if hour > _LAST_HOUR or max(minute, second) > _LAST_MINUTE:
        raise ValueError("must have a time of day from 00:00:00 to 23:59:59")
    fraction, sign, hours, minutes = match.group(7, 9, 10, 11)
    seconds = hour * 3600 + minute * 60 + second - _offset(sign, hours, minutes)
    days = _days_since_1970(year, month, day)
    return (days * 86_400 + seconds) * 1000 + int(((fraction or "") + "000")[:3])


def _offset(sign: str | None, hours: str, minutes: str) -> int:
    """Return how many seconds a local time is ahead of UTC."""
    if sign is None:
        return 0
    if int(hours) > _LAST_HOUR or int(minutes) > _LAST_MINUTE:
        raise ValueError("must have an offset from -23:59 to +23:59")
    seconds = int(hours) * 3600 + int(minutes) * 60
    return seconds if sign == "+" else -seconds


def _days_since_1970(year: int, month: int, day: int) -> int:
    try:  # Python's calendar begins in year 1; year 0 is like year 400
        days = date(year or 400, month, day).toordinal() - _DAYS_TO_1970
    except ValueError:
        raise ValueError("must be a day that the calendar has") from None
    return days if year else days - _DAYS_OF_400_YEARS
