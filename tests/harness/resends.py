"""Rows with ids of their own, sent to a store itself, and what became of them."""

from collections import Counter
from typing import Final

import msgspec

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.decoder import read_batch
from store.ingest.outcomes import RecordOutcome
from store.ingest.streams import METRIC_STREAM, SERIES_STREAM
from store.store import Store
from tests.harness.stores import wait_until

NOW: Final = Instant(1_800_000_000_000)


def row(key: str, client_id: str | None = None) -> dict[str, object]:
    """Return a metric point that `keys` lists as `key`; its id is `own`, or none if that is ''."""
    named = {} if client_id == "" else {"id": client_id or key}
    return {"metric_name": "m", "value": 1, "tags": {"k": key}, **named}


async def send(store: Store, *rows: dict[str, object]) -> RecordOutcome:
    """Record metric points as one batch."""
    return await store.record(
        METRIC_STREAM, read_batch(METRIC_STREAM.row_type, msgspec.json.encode(rows), NOW)
    )


async def send_series(store: Store, *ids: str) -> RecordOutcome:
    """Record a series of one point for each id, as one batch."""
    rows = [
        {"metric_name": "m", "tags": {"k": own}, "timestamps": [NOW], "values": [1], "id": own}
        for own in ids
    ]
    return await store.record(
        SERIES_STREAM, read_batch(SERIES_STREAM.row_type, msgspec.json.encode(rows), NOW)
    )


async def await_stored_ids(store: Store) -> None:
    """Return when the ids that were stored before the start are known."""
    await wait_until(lambda: all(ids.is_ready for ids in store._ids.values()))


def count_outcomes(results: list[RecordOutcome | BaseException]) -> tuple[int, int, int]:
    """Count the requests that were accepted, known, and refused for now."""
    told = Counter[str]()
    for result in results:
        if isinstance(result, RecordOutcome):
            told["accepted" if result.points else "known"] += 1
        else:
            assert isinstance(result, AnalyticsError), result
            assert (result.code, bool(result.retry_after)) == ("UNAVAILABLE", True)
            told["refused"] += 1
    return told["accepted"], told["known"], told["refused"]
