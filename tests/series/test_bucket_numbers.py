"""Bucket numbers, computed by the engine."""

import asyncio
from bisect import bisect_right
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schema.buckets import Granularity
from schema.ranges import TimeRange
from schema.scalars import Instant, rfc3339
from store.query.filters.row_set import RowSet
from store.query.sql import Statement
from store.query.time.buckets import MAX_BUCKETS, Buckets, bucket_number
from tests.harness.service import Service
from tests.oracle.calendar import (
    CALENDAR_SETTINGS,
    SPECIAL,
    cut_instants,
    cut_or_suggestion,
    ranges,
)

DAY = 86_400_000


class NumberedInstant(msgspec.Struct):
    """An instant with the number of its bucket."""

    ms: int
    number: int


def number_statement(buckets: Buckets, moments: list[int]) -> Statement:
    """Return a statement that selects the bucket number of each instant."""
    rows = RowSet("metrics", "")
    slot = rows.bind("Array(Int64)", moments)
    number = bucket_number(buckets, rows.bind)
    text = (
        f"SELECT toUnixTimestamp64Milli(time) AS ms, {number} AS number FROM"  # noqa: S608
        f" (SELECT fromUnixTimestamp64Milli(arrayJoin({slot}), 'UTC') AS time)"
    )
    return Statement(text, rows.slots.params)


async def test_engine_finds_the_same_bucket(service: Service) -> None:
    """The engine numbers random instants and edges of buckets, regular or not, as Python does."""
    loop = asyncio.get_running_loop()

    def select_numbers(buckets: Buckets, moments: list[int]) -> list[NumberedInstant]:
        answer = service.context.store.select(number_statement(buckets, moments), NumberedInstant)
        return asyncio.run_coroutine_threadsafe(answer, loop).result(60)

    @CALENDAR_SETTINGS
    @given(ranges, st.sampled_from(list(Granularity)), st.randoms(use_true_random=False))
    def check(time_range: TimeRange, granularity: Granularity, dice: Any) -> None:
        buckets = cut_or_suggestion(time_range, granularity)
        inside = [dice.randrange(buckets.starts[0], buckets.end) for _ in range(50)]
        edges = dice.sample(buckets.starts, min(50, len(buckets.starts)))
        ends = [start - 1 for start in edges[1:] if start > buckets.starts[0]]
        moments = [*inside, *edges, *ends, buckets.end - 1]
        for row in select_numbers(buckets, moments):
            assert row.number == bisect_right(buckets.starts, row.ms) - 1, rfc3339(Instant(row.ms))

    await asyncio.to_thread(check)
    for zone, _ in SPECIAL.values():
        days = cut_instants(zone, Granularity.DAY, 0, 8000 * DAY)
        rows = await service.context.store.select(
            number_statement(days, list(days.starts)), NumberedInstant
        )
        assert [row.number for row in rows] == list(range(len(days.starts)))
    seconds = cut_instants("UTC", Granularity.SECOND, 0, MAX_BUCKETS * 1000)
    uneven = Buckets(
        Granularity.SECOND, tuple(s + s // 2000 % 2 for s in seconds.starts), seconds.end, None
    )
    rows = await service.context.store.select(
        number_statement(uneven, list(uneven.starts)), NumberedInstant
    )
    assert [row.number for row in rows] == list(range(MAX_BUCKETS))
