"""The chart of `granularity: AUTO` for docs/graphql.md.

`python -m bench.auto_granularity` writes the chart.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from schema.buckets import Granularity
from schema.ranges import TimeRange
from schema.scalars import UTC_ZONE, Instant, instant
from store.query.time.buckets import buckets

CHART: Final = Path(__file__).parent.parent / "docs" / "auto-granularity.svg"
NOW: Final = instant(datetime(2026, 6, 17, 15, 20, 27, 345_000, UTC))
MAX_POINTS: Final = 300
FEW_POINTS: Final = 60

_MINUTE: Final = 60_000
_DAY: Final = 86_400_000
_TICKS: Final = {
    "1 min": _MINUTE,
    "5 min": 5 * _MINUTE,
    "20 min": 20 * _MINUTE,
    "1 h": 60 * _MINUTE,
    "6 h": 360 * _MINUTE,
    "1 day": _DAY,
    "7 days": 7 * _DAY,
    "30 days": 30 * _DAY,
    "90 days": 90 * _DAY,
    "1 year": 365 * _DAY,
    "3 years": 3 * 365 * _DAY,
    "10 years": 3652 * _DAY,
}
_LABELS: Final = {
    Granularity.SECOND: "second",
    Granularity.TEN_SECONDS: "10 s",
    Granularity.THIRTY_SECONDS: "30 s",
    Granularity.MINUTE: "minute",
    Granularity.FIVE_MINUTES: "5 min",
    Granularity.FIFTEEN_MINUTES: "15 min",
    Granularity.THIRTY_MINUTES: "30 min",
    Granularity.HOUR: "hour",
    Granularity.TWO_HOURS: "2 h",
    Granularity.SIX_HOURS: "6 h",
    Granularity.TWELVE_HOURS: "12 h",
    Granularity.DAY: "day",
    Granularity.WEEK: "week",
    Granularity.MONTH: "month",
}
_X_MIN, _X_MAX, _Y_MIN, _Y_MAX = 56, 944, 90, 380
_SAMPLES: Final = 800


class Sample(NamedTuple):
    """The length of a range in milliseconds, and its granularity and points under AUTO."""

    length: int
    granularity: Granularity
    points: int


def sample(length: int) -> Sample:
    """Cut the range of this length that ends now into the buckets of AUTO."""
    span = TimeRange(from_=Instant(NOW + 1 - length), to=Instant(NOW + 1))
    cut = buckets(span, Granularity.AUTO, MAX_POINTS, UTC_ZONE)
    return Sample(length, cut.granularity, len(cut.starts))


def samples() -> list[Sample]:
    """Sample lengths from a minute to ten years, evenly on a logarithmic scale."""
    first, last = _TICKS["1 min"], _TICKS["10 years"]
    ratio = math.log(last / first)
    return [sample(round(first * math.exp(ratio * n / _SAMPLES))) for n in range(_SAMPLES + 1)]


def chart() -> str:
    """Draw the points by the length of the range, with one stripe for each granularity."""
    all_samples = samples()
    stripes = [
        list(group) for _, group in groupby(all_samples, key=lambda sample: sample.granularity)
    ]
    edges = [_x(stripe[0].length) for stripe in stripes] + [_X_MAX]
    parts = [_HEAD]
    for number, stripe in enumerate(stripes):
        left, right = edges[number], edges[number + 1]
        if number % 2:
            parts.append(_rect("stripe", left, _Y_MIN, right - left, _Y_MAX - _Y_MIN))
        label = _LABELS[stripe[0].granularity]
        parts.append(_text("size", (left + right) / 2, _Y_MIN - 10, label))
    parts.append(
        _rect("aim", _X_MIN, _y(MAX_POINTS), _X_MAX - _X_MIN, _y(FEW_POINTS) - _y(MAX_POINTS))
    )
    for points in (0, FEW_POINTS, 150, MAX_POINTS):
        parts.append(_line("grid", _X_MIN, _y(points), _X_MAX, _y(points)))
        parts.append(_text("y", _X_MIN - 8, _y(points) + 4, str(points)))
    for label, length in _TICKS.items():
        parts.append(_line("tick", _x(length), _Y_MAX, _x(length), _Y_MAX + 5))
        parts.append(_text("x", _x(length), _Y_MAX + 20, label))
    parts += [_path(stripe) for stripe in stripes]
    parts.append(_text("x", (_X_MIN + _X_MAX) / 2, _Y_MAX + 44, "length of the range"))
    return "\n".join([*parts, "</svg>", ""])


def _x(length: float) -> float:
    first, last = _TICKS["1 min"], _TICKS["10 years"]
    return _X_MIN + (_X_MAX - _X_MIN) * math.log(length / first) / math.log(last / first)


def _y(points: float) -> float:
    return _Y_MAX - (_Y_MAX - _Y_MIN) * points / MAX_POINTS


def _path(stripe: Sequence[Sample]) -> str:
    positions = " ".join(f"{_x(sample.length):.1f},{_y(sample.points):.1f}" for sample in stripe)
    return f'<polyline class="points" points="{positions}"/>'


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(name: str, x: float, y: float, text: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}">{text}</text>'


_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 440" role="img">
<title>Points that AUTO makes of ranges from one minute to ten years</title>
<style>
  svg { --page: #ffffff; --ink: #1f2328; --faint: #59636e; --rule: #d1d9e0; --stripe: #f3f5f7;
        --aim: #1a7f3714; --line: #0969da; }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0d1117; --ink: #f0f6fc; --faint: #9198a1; --rule: #3d444d; --stripe: #161b22;
          --aim: #3fb95018; --line: #4493f8; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--faint); text-anchor: middle; }
  .title { font-size: 16px; font-weight: 600; fill: var(--ink); text-anchor: start; }
  .note { text-anchor: start; }
  .y { text-anchor: end; }
  .size { fill: var(--ink); font-size: 12px; }
  .page { fill: var(--page); }
  .stripe { fill: var(--stripe); }
  .aim { fill: var(--aim); }
  .grid, .tick { stroke: var(--rule); }
  .points { fill: none; stroke: var(--line); stroke-width: 2; }
</style>
<rect class="page" width="1000" height="440"/>
<text class="title" x="56" y="28">Points of a series with granularity AUTO, by the length of the\
 range</text>
<text class="note" x="56" y="50">Each tooth is a granularity; green: 60 to 300 points</text>"""


if __name__ == "__main__":
    CHART.write_text(chart())
