"""RFC 3339 in plain Python, by the grammar of its section 5.6: the reference of the parser."""

from fractions import Fraction
from typing import Final

from hypothesis import strategies as st

MAX_TIME: Final = 4_102_444_799_999
DIGITS: Final = "0123456789"
MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Scanner:
    """A text that is read from its beginning."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def one_of(self, characters: str) -> str:
        if not self.rest or self.rest[0] not in characters:
            raise ValueError(self.rest)
        character, self.rest = self.rest[0], self.rest[1:]
        return character

    def number(self, digits: int, minimum: int, maximum: int) -> int:
        value = 0
        for _ in range(digits):
            value = value * 10 + DIGITS.index(self.one_of(DIGITS))
        if not minimum <= value <= maximum:
            raise ValueError(value)
        return value


def milliseconds(text: str) -> int | None:
    """Return the milliseconds since 1970, rounded down; None if the text is no date-time."""
    try:
        return _date_time(_Scanner(text))
    except ValueError:
        return None


def row_time(text: str) -> int | None:
    """Return the time of a row with this text; None if the row is rejected."""
    moment = milliseconds(text)
    return moment if moment is not None and 0 <= moment <= MAX_TIME else None


def _date_time(scanner: _Scanner) -> int:
    year = scanner.number(4, 0, 9999)
    scanner.one_of("-")
    month = scanner.number(2, 1, 12)
    scanner.one_of("-")
    day = scanner.number(2, 1, _month_length(year, month))
    scanner.one_of("Tt ")
    hour = scanner.number(2, 0, 23)
    scanner.one_of(":")
    minute = scanner.number(2, 0, 59)
    scanner.one_of(":")
    seconds = Fraction(scanner.number(2, 0, 59))
    if scanner.rest[:1] == ".":
        scanner.one_of(".")
        unit = Fraction(1, 10)
        seconds += scanner.number(1, 0, 9) * unit
        while scanner.rest[:1] and scanner.rest[0] in DIGITS:
            unit /= 10
            seconds += scanner.number(1, 0, 9) * unit
    seconds += (_days(year, month, day) * 24 + hour) * 3600 + (minute - _offset(scanner)) * 60
    if scanner.rest:
        raise ValueError(scanner.rest)
    return int(seconds * 1000 // 1)


def _offset(scanner: _Scanner) -> int:
    sign = scanner.one_of("Zz+-")
    if sign in "Zz":
        return 0
    hours = scanner.number(2, 0, 23)
    scanner.one_of(":")
    minutes = hours * 60 + scanner.number(2, 0, 59)
    return minutes if sign == "+" else -minutes


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _month_length(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else MONTHS[month - 1]


def _days(year: int, month: int, day: int) -> int:
    years = range(1970, year) if year >= 1970 else range(year, 1970)
    year_days = sum(366 if _is_leap(counted_year) else 365 for counted_year in years)
    months = sum(_month_length(year, earlier) for earlier in range(1, month))
    return (year_days if year >= 1970 else -year_days) + months + day - 1


def _two_digits(minimum: int, maximum: int) -> st.SearchStrategy[str]:
    return st.integers(minimum, maximum).map("{:02}".format)


OFFSETS: Final = st.one_of(
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+14:00", "-12:00", "+05:45", "+24:00", ""]),
    st.sampled_from(["+0100", "+01", " +01:00", "+1:00", "+23:59", "-23:59", "+23:60", "Z ", "ZZ"]),
    st.builds("{}{}:{}".format, st.sampled_from("+-"), _two_digits(0, 24), _two_digits(0, 60)),
)
YEARS: Final = st.one_of(
    st.sampled_from(
        ["0000", "0001", "1900", "1969", "1970", "2000", "2024", "2099", "2100", "9999"]
    ),
    st.integers(1970, 2099).map(str),
)
FRACTIONS: Final = st.one_of(
    st.sampled_from(
        ["", "", ".", ",5", ".9", ".999", ".9999", ".999999", ".9999995", ".999999999"]
    ),
    st.text(DIGITS, min_size=1, max_size=30).map(".{}".format),
)
SEPARATORS: Final = st.sampled_from("TTTTTTt _")
USUAL: Final = st.builds(
    "{}-{}-{}T{}:{}:{}{}{}".format,
    st.integers(1970, 2099),
    _two_digits(1, 12),
    _two_digits(1, 28),
    _two_digits(0, 23),
    _two_digits(0, 59),
    _two_digits(0, 59),
    st.one_of(st.just(""), st.text(DIGITS, min_size=1, max_size=9).map(".{}".format)),
    st.sampled_from(["Z", "+02:00", "-07:30"]),
)
UNUSUAL: Final = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    YEARS,
    _two_digits(0, 13),
    _two_digits(0, 32),
    SEPARATORS,
    _two_digits(0, 24),
    _two_digits(0, 60),
    _two_digits(0, 61),
    FRACTIONS,
    OFFSETS,
)
EDGE_CASES: Final = (
    *("2025-10-30T12:34:56z", "2025-10-30t12:34:56Z", "2025-10-30 12:34:56Z", "2025-10-30T12:34Z"),
    *("2025-10-30T12:34:56.Z", "2025-10-30T12:34:56,5Z", "2025-10-30T23:59:59.999999999Z"),
    *("2025-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60Z", "2016-12-31T15:59:60-08:00"),
    *("2025-10-30T24:00:00Z", "2025-02-30T00:00:00Z", "2025-02-29T00:00:00Z"),
    *("2024-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-00:01"),
    *("0001-01-01T00:00:00+00:01", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.9999Z"),
    *("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.0009Z", "1970-01-01T00:00:00+00:01"),
    *("2099-12-31T23:59:59.999999999Z", "2100-01-01T00:00:00Z", "2099-12-31T23:59:59.9999-00:01"),
    *(" 2025-10-30T12:34:56Z", "2025-10-30T12:34:56Z ", "2025-10-30T12:34:56Z\n", "", "now"),
    *(
        "２０２５-10-30T12:34:56Z",
        "2025-10-30T12:34:5٦Z",
        "2025-W44-4T12:34:56Z",
        "20251030T123456Z",
    ),
    *("2025-10-30", "2025-10-30T12:34:56", "2025-303T12:34:56Z", "1761827696789", "-2025-10-30T1Z"),
    *("2025-10-30T12:34:56-00:00", "2025-10-30T12:34:56+14:00", "2025-10-30T12:34:56+24:00"),
    *("2025-10-30T12:34:56+0100", "2025-10-30T12:34:56+01", "2025-10-30T12:34:56.5+0100"),
    *(
        "2025-10-30T12:34:56.1Z",
        "2025-10-30T12:34:56." + "9" * 60 + "Z",
        "2025-10-30T12:34:56 01:00",
    ),
    *(
        "2025-10-30T12:34:56UTC",
        "2025-10-30T12:34:56 Z",
        "2025-10-30T1:34:56Z",
        "2025-10-30T12:34:60Z",
    ),
)
TEXTS: Final = st.one_of(USUAL, UNUSUAL, st.sampled_from(EDGE_CASES), st.text(max_size=25))
