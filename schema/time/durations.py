"""Durations: calendar months, then a fixed length in milliseconds."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Self

from graphql import GraphQLError

_NUMBER: Final = r"\d{1,9}(?:[.,]\d{1,9})?"
_ISO: Final = re.compile(
    rf"P(?!$)(?:(?P<Y>{_NUMBER})Y)?(?:(?P<M>{_NUMBER})M)?(?:(?P<w>{_NUMBER})W)?"
    rf"(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?!$)(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?",
    re.ASCII,
)
_SHORT: Final = re.compile(
    "(?!$)" + "".join(rf"(?:(?P<{u}>{_NUMBER}){u})?" for u in ("w", "d", "h", "m", "s", "ms")),
    re.ASCII,
)
_UNIT_MS: Final = {
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_UNIT_MONTHS: Final = {"Y": 12, "M": 1}


class DurationMs(int):
    """Length of time: calendar months, then milliseconds, which are the integer itself."""

    months: int

    def __new__(cls, ms: int, months: int = 0) -> Self:
        """Create a duration of `months` calendar months and `ms` milliseconds."""
        duration = super().__new__(cls, ms)
        duration.months = months
        return duration


def parse_duration(text: object) -> DurationMs:
    """Parse `PT5M`, `P1M`, `P1Y2M3DT4H`, `PT1.5H` or the short `5m`, `1h30m`, `1.5h`.

    Raises `GraphQLError` for any other text.
    """
    match = (_SHORT.fullmatch(text) or _ISO.fullmatch(text)) if isinstance(text, str) else None
    if match is None:
        message = (
            "Duration must be ISO 8601 like PT5M, P7D, P1M or PT1.5H, or short like 5m or 1h30m"
        )
        raise GraphQLError(message)
    units = {unit: number.replace(",", ".") for unit, number in match.groupdict().items() if number}
    *larger, smallest = units
    if any("." in units[unit] for unit in larger):
        raise GraphQLError("Duration can have a fraction in its smallest unit only, like PT1H1.5M")
    if smallest in _UNIT_MONTHS and "." in units[smallest]:
        raise GraphQLError("Duration can't have a fraction of a month or year: their lengths vary")
    months = sum(_UNIT_MONTHS[unit] * int(units[unit]) for unit in units if unit in _UNIT_MONTHS)
    ms = sum(_UNIT_MS[unit] * Decimal(units[unit]) for unit in units if unit in _UNIT_MS)
    return DurationMs(int(Decimal(ms).to_integral_value(ROUND_HALF_UP)), months)


def iso_duration(length: DurationMs) -> str:
    """Format a duration as ISO 8601: months and days if there are any, then seconds."""
    days, rest_ms = divmod(int(length), _UNIT_MS["d"])
    text = (f"{length.months}M" if length.months else "") + (f"{days}D" if days else "")
    if rest_ms or not text:
        text += f"T{(Decimal(rest_ms) / 1000).normalize():f}S"
    return f"P{text}"
