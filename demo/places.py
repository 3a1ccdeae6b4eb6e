"""Countries of the shop's visitors: their share, their clocks, their data centre."""

import datetime as dt
import functools
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

MS_PER_MINUTE: Final = 60_000
MS_PER_HOUR: Final = 60 * MS_PER_MINUTE
MS_PER_DAY: Final = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Country:
    """A country: ISO code, time zone, share of the new visitors, region of its servers."""

    code: str
    zone: str
    share: float
    region: str


COUNTRIES: Final = (
    Country("DE", "Europe/Berlin", 0.36, "eu"),
    Country("FR", "Europe/Paris", 0.13, "eu"),
    Country("GB", "Europe/London", 0.13, "eu"),
    Country("US", "America/New_York", 0.13, "us"),
    Country("AT", "Europe/Vienna", 0.08, "eu"),
    Country("CH", "Europe/Zurich", 0.06, "eu"),
    Country("NL", "Europe/Amsterdam", 0.06, "eu"),
    Country("JP", "Asia/Tokyo", 0.05, "ap"),
)
HOME: Final = COUNTRIES[0]
"""Country of the shop: its calendar has the campaign and the deploys."""

REGIONS: Final = ("eu", "us", "ap")


@functools.cache
def offset_ms(zone: str, day: int) -> int:
    """Return the milliseconds by which a zone's clocks are ahead of UTC, at noon of a day."""
    noon = dt.datetime.fromtimestamp(day * 86_400 + 43_200, tz=ZoneInfo(zone))
    offset = noon.utcoffset()
    assert offset is not None  # noqa: S101 - an instant with a zone has one
    return round(offset.total_seconds() * 1000)


def instant_ms(country: Country, day: int, local_ms: float) -> int:
    """Return the instant at which a country's clocks show a day and milliseconds since midnight."""
    return day * MS_PER_DAY + int(local_ms) - offset_ms(country.zone, day)


def day_at(country: Country, ms: int) -> int:
    """Return the day, counted from 1970-01-01, that a country's calendar has at an instant."""
    return (ms + offset_ms(country.zone, ms // MS_PER_DAY)) // MS_PER_DAY


def weekday(day: int) -> int:
    """Return the weekday of a day: 0 is Monday."""
    return (day + 3) % 7
