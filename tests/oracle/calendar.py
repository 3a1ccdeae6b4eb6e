"""Local times of zones by Python's own calendar, and ranges that tests cut into buckets."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from schema.buckets import Granularity, WeekStart
from schema.errors import AnalyticsError
from schema.ranges import TimeBetweenInput, TimeRange, TimeRangeInput
from schema.scalars import Instant, Zone, instant
from store.query.time.buckets import MAX_BUCKETS, Buckets, buckets
from tests.harness.run_profile import short_or_long

ZONES: Final = sorted(available_timezones() - {"Factory", "localtime"})

STEPS: Final = {
    Granularity.SECOND: 1,
    Granularity.TEN_SECONDS: 10,
    Granularity.THIRTY_SECONDS: 30,
    Granularity.MINUTE: 60,
    Granularity.FIVE_MINUTES: 300,
    Granularity.FIFTEEN_MINUTES: 900,
    Granularity.THIRTY_MINUTES: 1800,
    Granularity.HOUR: 3600,
}

DAY_PARTS: Final = {
    Granularity.TWO_HOURS: 2,
    Granularity.SIX_HOURS: 6,
    Granularity.TWELVE_HOURS: 12,
}
"""The hours of the buckets that divide a day by its clocks."""

SPECIAL: Final = {
    "Sao Paulo has no midnight": ("America/Sao_Paulo", "2018-11-04T01:00"),
    "Sao Paulo turns back at midnight": ("America/Sao_Paulo", "2018-02-17T23:30"),
    "Beirut has no midnight": ("Asia/Beirut", "2022-03-27T01:00"),
    "Cairo has no midnight": ("Africa/Cairo", "2024-04-26T01:00"),
    "Havana has two midnights": ("America/Havana", "2024-11-03T00:30"),
    "Toronto in 1919 skips from half past eleven": ("America/Toronto", "1919-03-31T00:30"),
    "St. John's turns back at a minute past midnight": ("America/St_Johns", "2008-11-02T00:00"),
    "St. John's skips a minute past midnight": ("America/St_Johns", "2008-03-09T00:00"),
    "Berlin, spring": ("Europe/Berlin", "2026-03-29T03:00"),
    "Berlin, autumn": ("Europe/Berlin", "2026-10-25T02:30"),
    "New York, spring": ("America/New_York", "2026-03-08T03:00"),
    "New York, autumn": ("America/New_York", "2026-11-01T01:30"),
    "Kolkata, half an hour": ("Asia/Kolkata", "2026-06-01T12:00"),
    "Kathmandu, three quarters": ("Asia/Kathmandu", "2026-06-01T12:00"),
    "Kathmandu moves by a quarter": ("Asia/Kathmandu", "1986-01-01T00:15"),
    "Lord Howe, by half an hour on": ("Australia/Lord_Howe", "2026-10-04T02:30"),
    "Lord Howe, by half an hour back": ("Australia/Lord_Howe", "2026-04-05T01:30"),
    "Chatham": ("Pacific/Chatham", "2026-04-05T02:45"),
    "Monrovia, by 44:30 on": ("Africa/Monrovia", "1972-01-07T00:44:30"),
    "Monrovia, odd seconds": ("Africa/Monrovia", "1971-06-01T12:00"),
    "Apia skips December 30": ("Pacific/Apia", "2011-12-31T00:00"),
    "Kiritimati skips the last day of a year": ("Pacific/Kiritimati", "1995-01-01T00:00"),
    "Kwajalein skips a day": ("Pacific/Kwajalein", "1993-08-22T00:00"),
    "Caracas, by half an hour": ("America/Caracas", "2007-12-09T03:00"),
    "Pyongyang, by half an hour": ("Asia/Pyongyang", "2018-05-04T23:30"),
    "Recife, a week of summer": ("America/Recife", "2000-10-08T01:00"),
    "Gaza, a week of winter": ("Asia/Gaza", "2040-10-20T01:00"),
    "Troll, by two hours": ("Antarctica/Troll", "2026-03-29T03:00"),
    "UTC": ("UTC", "2026-06-01T00:00"),
}
"""Days on which clocks do odd things."""


def instant_at(zone: str, text: str, fold: int = 0) -> Instant:
    """Return the instant at which clocks show a time first, or with `fold` for the second time."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return instant(local.astimezone(UTC))


def local_text(zone: str, moment: float) -> str:
    """Return the local time of an instant as a text with its offset."""
    return datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).isoformat()


def local_range(zone: str, start: str, end: str) -> TimeRange:
    """Return a range between two local times."""
    return TimeRange(from_=instant_at(zone, start), to=instant_at(zone, end), timezone=Zone(zone))


def time_range(start: int, end: int, zone: str = "UTC") -> TimeRange:
    """Return a range between two instants."""
    return TimeRange(from_=Instant(start), to=Instant(end), timezone=Zone(zone))


def range_input(start: int, end: int) -> TimeRangeInput:
    """Return a range between two instants."""
    return TimeRangeInput(between=TimeBetweenInput(from_=Instant(start), to=Instant(end)))


@cache
def _clocks(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)


def local_time(zone: str, second: int) -> datetime:
    """Return the local time at a second since 1970."""
    return datetime.fromtimestamp(second, _clocks(zone))


def utc_offset(zone: str, second: int) -> int:
    """Return the seconds that the clocks are ahead of UTC."""
    return (local_time(zone, second).utcoffset() or timedelta()) // timedelta(seconds=1)


def period_key(
    granularity: Granularity, day: date, *, sunday_weeks: bool = False
) -> tuple[int, ...]:
    """Return a key that all days of a period share."""
    if sunday_weeks and granularity is Granularity.WEEK:
        return period_key(granularity, day + timedelta(days=1))
    return {
        Granularity.DAY: (day.toordinal(),),
        Granularity.WEEK: day.isocalendar()[:2],
        Granularity.MONTH: (day.year, day.month),
        Granularity.QUARTER: (day.year, (day.month - 1) // 3),
        Granularity.YEAR: (day.year,),
    }[granularity]


def bucket_key(
    granularity: Granularity, clock: datetime, *, sunday_weeks: bool = False
) -> tuple[int, ...]:
    """Return a key that all local times of a bucket of hours, days or longer share."""
    if granularity in DAY_PARTS:
        return clock.date().toordinal(), clock.hour // DAY_PARTS[granularity]
    return period_key(granularity, clock.date(), sunday_weeks=sunday_weeks)


def bucket_edges(
    zone: str,
    granularity: Granularity,
    first: int,
    last: int,
    stride: int,
    *,
    sunday_weeks: bool = False,
) -> list[int]:
    """List the starts of buckets between two seconds; read the clocks at every stride.

    A short bucket begins where the clock shows a multiple of its length. It also begins where
    clocks are moved by no multiple of its length. A long bucket begins when the clock first shows
    one of its times, or a later time.
    """
    edges = []
    first -= first % stride
    if granularity in STEPS:
        step = STEPS[granularity]
        for second in range(first, last + 1, stride):
            offset = utc_offset(zone, second)
            if (second + offset) % step == 0 or (offset - utc_offset(zone, second - 1)) % step:
                edges.append(second * 1000)
        return edges
    begin = first - 3 * 86_400  # three days show every bucket that began before `first`
    latest_key = bucket_key(granularity, local_time(zone, begin), sunday_weeks=sunday_weeks)
    for second in range(begin, last + 1, stride):
        key = bucket_key(granularity, local_time(zone, second), sunday_weeks=sunday_weeks)
        if key > latest_key:
            if second >= first:
                edges.append(second * 1000)
            latest_key = key
    return edges


def latest_day(zone: str, moment: int) -> date:
    """Return the latest day that clocks have shown up to an instant."""
    second = moment // 1000
    days = [local_time(zone, second - back * 900).date() for back in range(30 * 4)]
    return max(days)


special_zone_instants = st.sampled_from(sorted(SPECIAL)).map(SPECIAL.__getitem__)
random_zone_instants = st.tuples(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1972, 2, 1), datetime(2099, 12, 1)),  # noqa: DTZ001
)
zone_instants = st.one_of(
    special_zone_instants.map(
        lambda zone_instant: (zone_instant[0], int(instant_at(*zone_instant)))
    ),
    random_zone_instants.map(
        lambda zone_instant: (zone_instant[0], instant(zone_instant[1].replace(tzinfo=UTC)))
    ),
)
"""A zone, and an instant in milliseconds, near which clocks may do something odd."""

_DAY: Final = 86_400_000


def _range_around(zone_instant: tuple[str, int], length: int, before: float) -> TimeRange:
    zone, moment = zone_instant
    start = moment - int(length * before)
    return time_range(start, start + length, zone)


shares = st.floats(0, 1, exclude_max=True)
lengths = st.integers(1, 10 * 365 * _DAY) | st.integers(1, _DAY)
ranges = st.builds(_range_around, zone_instants, lengths, shares)
"""A range of up to ten years around a zone's instant."""

CALENDAR_SETTINGS = settings(
    max_examples=short_or_long(50, 150),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def cut_instants(
    zone: str,
    granularity: Granularity,
    start: int,
    end: int,
    week_start: WeekStart = WeekStart.MONDAY,
) -> Buckets:
    """Cut a range between two instants."""
    return buckets(time_range(start, end, zone), granularity, 300, Zone(zone), week_start)


def cut_or_suggestion(
    time_range: TimeRange, granularity: Granularity, max_points: int = 300
) -> Buckets:
    """Cut a range; if the granularity is refused, cut by the one that the error suggests."""
    try:
        return buckets(time_range, granularity, max_points, time_range.timezone)
    except AnalyticsError as error:
        suggestions = re.findall("([A-Z_]+) would fit", error.message)
        assert (error.field, error.limit, len(suggestions)) == ("granularity", MAX_BUCKETS, 1)  # noqa: PT017 - no error is right, too
        return buckets(time_range, Granularity[suggestions[0]], max_points, time_range.timezone)
