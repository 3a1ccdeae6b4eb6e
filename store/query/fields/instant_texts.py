"""RFC 3339 texts as instants, parsed by the engine.

The engine's own types end at the year 2299, and its parsers accept other texts. This parser covers
the years 0000 to 9999 in half milliseconds; an odd number lies between two milliseconds.
"""

from typing import Final

_RFC_3339: Final = (
    "'^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "([.][0-9]+)?([Zz]|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$'"
)


def half_milliseconds(text: str) -> str:
    """Return the instant of a text, in half milliseconds since 1970; NULL for any other text."""
    fields = {"y": (1, 4), "m": (6, 2), "d": (9, 2), "hour": (12, 2), "minute": (15, 2)}
    fields["second"] = (18, 2)
    written_year, month, month_day, hour, minute, second = (
        f"toInt64(substring(t, {start}, {length}))" for start, length in fields.values()
    )
    is_leap_year = (
        f"({written_year} % 4 = 0 AND ({written_year} % 100 != 0 OR {written_year} % 400 = 0))"
    )
    days_in_month = (
        f"[31, if({is_leap_year}, 29, 28), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][{month}]"
    )
    # The calendar repeats every 400 years; the cycles here begin in March of the year -400.
    year = f"({written_year} + 400 - ({month} <= 2))"
    cycle_year = f"{year} % 400"
    day = f"intDiv(153 * (({month} + 9) % 12) + 2, 5) + {month_day} - 1"
    days = (
        f"intDiv({year}, 400) * 146097 + {cycle_year} * 365 + intDiv({cycle_year}, 4)"
        f" - intDiv({cycle_year}, 100) + {day} - 865565"
    )
    offset_minutes = "toInt64(substring(t, -5, 2)) * 60 + toInt64(substring(t, -2, 2))"
    offset = (
        "multiIf(upper(right(t, 1)) = 'Z', 0, substring(t, -6, 1) = '-',"
        f" -({offset_minutes}), {offset_minutes})"
    )
    seconds = f"(({days}) * 1440 + {hour} * 60 + {minute} - ({offset})) * 60 + {second}"
    fraction = "extract(t, '[.]([0-9]+)')"
    ms = f"toInt64(rightPad(substring({fraction}, 1, 3), 3, '0'))"
    has_finer_digits = f"match(substring({fraction}, 4), '[1-9]')"
    instant = f"(({seconds}) * 1000 + {ms}) * 2 + {has_finer_digits}"
    valid_instant = f"if({month_day} <= {days_in_month}, {instant}, NULL)"
    return f"arrayMap(t -> if(match(t, {_RFC_3339}), {valid_instant}, NULL), [{text}])[1]"
