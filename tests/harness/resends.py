"""Rows with client ids, sent to a store directly, and the outcomes of their requests."""

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
    """Return a metric point with a key; its id is the key by default, and absent if ''."""
    id_field = {} if client_id == "" else {"id": client_id or key}
    return {"metric_name": "m", "value": 1, "tags": {"k": key}, **id_field}


async def send(store: Store, *rows: dict[str, object]) -> RecordOutcome:
    """Record metric points as one batch."""
    return await store.record(
        METRIC_STREAM, read_batch(METRIC_STREAM.row_type, msgspec.json.encode(rows), NOW)
    )


async def send_series(store: Store, *client_ids: str) -> RecordOutcome:
    """Record a series of one point for each id, as one batch."""
    rows = [
        {
            "metric_name": "m",
            "tags": {"k": client_id},
            "timestamps": [NOW],
            "values": [1],
            "id": client_id,
        }
        for client_id in client_ids
    ]
    return await store.record(
        SERIES_STREAM, read_batch(SERIES_STREAM.row_type, msgspec.json.encode(rows), NOW)
    )


async def await_stored_ids(store: Store) -> None:
    """Return when the store has read the ids that were stored before its start."""
    await wait_until(lambda: all(ids.is_ready for ids in store._ids.values()))


def count_outcomes(results: list[RecordOutcome | BaseException]) -> tuple[int, int, int]:
    """Count the requests that were accepted, duplicates, and unavailable."""
    counts = Counter[str]()
    for result in results:
        if isinstance(result, RecordOutcome):
            counts["accepted" if result.points else "duplicate"] += 1
        else:
            assert isinstance(result, AnalyticsError), result
            assert (result.code, bool(result.retry_after)) == ("UNAVAILABLE", True)
            counts["unavailable"] += 1
    return counts["accepted"], counts["duplicate"], counts["unavailable"]
