"""Parser of RFC 3339 texts, the only one, for both APIs and all body formats."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

_EXAMPLE: Final = "2025-10-30T12:34:56.789Z"
_WELL_FORMED: Final = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.([0-9]+))?"
    r"(?:[Zz]|([-+](?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)
_LOCAL: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:([0-9]{2})(?:\.[0-9]+)?"
_WITHOUT_OFFSET: Final = re.compile(_LOCAL)
_WITH_OFFSET: Final = re.compile(_LOCAL + r"(?:[Zz]|[-+][0-9]{2}:[0-9]{2})")
_HOURS: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_DAYS_TO_1970: Final = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097
_DAY_MS: Final = 86_400_000


def parse_rfc3339(text: str) -> int:
    """Parse an RFC 3339 text to milliseconds since 1970, rounded down.

    Letters may be lower case, and a space may replace the T (RFC 3339, 5.6). Years are 0000 to
    9999. Raises `ValueError` with a reason that continues the name of the field.
    """
    match = _WELL_FORMED.fullmatch(text)
    if match is None:
        raise ValueError(_reason(text))
    fraction, offset = match.groups()
    moment = _day(text[:10]) + _minute(text[11:16]) + int(text[17:19]) * 1000
    if fraction:
        moment += int((fraction + "00")[:3])
    return moment - _offset(offset) if offset else moment


# The rows of a batch share few days, minutes and offsets. Parsing one of them takes 0.5 µs.
@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    try:  # Python's calendar begins in year 1; year 0 has the days of year 400
        days = date(year or 400, month, day).toordinal() - _DAYS_TO_1970
    except ValueError:
        raise ValueError("must be a day that the calendar has") from None
    return (days if year else days - _DAYS_OF_400_YEARS) * _DAY_MS


@lru_cache(maxsize=1440)
def _minute(text: str) -> int:
    return int(text[:2]) * 3_600_000 + int(text[3:]) * 60_000


@lru_cache(maxsize=256)
def _offset(text: str) -> int:
    return _minute(text[1:]) if text[0] == "+" else -_minute(text[1:])


def _reason(text: str) -> str:
    """Return the reason why a text is not well formed."""
    match = _WITH_OFFSET.fullmatch(text)
    if match is None:
        if _WITHOUT_OFFSET.fullmatch(text):
            return f"must have an offset: Z or one like +02:00, as in {_EXAMPLE}"
        return f"must be RFC 3339 with an offset, like {_EXAMPLE}"
    if match[1] == "60":
        return "must not be a leap second (second 60), which no count of milliseconds has: send 59"
    if not _HOURS.fullmatch(text[11:16]) or match[1] > "59":
        return "must have a time of day from 00:00:00 to 23:59:59"
    if text[-1] not in "Zz" and not _HOURS.fullmatch(text[-5:]):
        return "must have an offset from -23:59 to +23:59"
    return "must be a day that the calendar has"
