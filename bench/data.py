"""Request bodies of single writes and of the dataset of a million points.

The bodies are built before the clock starts, and are the same in every run.
"""

import json
import random
import time
from collections.abc import Iterator

JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"

NAMES = tuple(f"cpu_load_{n}" for n in range(10))
"""Names of the metrics in the dataset."""

HOSTS = 100
"""Number of distinct values of the tag ``host``."""

DATASET_POINTS = 1_000_000
"""Number of points in the dataset."""

POINTS_PER_NAME = DATASET_POINTS // len(NAMES)

_HOUR_MS = 3_600_000
_DATASET_SPAN_MS = 20 * _HOUR_MS


def metric_bodies(count: int = 64) -> list[bytes]:
    """Return bodies of ``POST /metrics``."""
    source = random.Random(1)
    return [
        json.dumps(
            {
                "metric_name": f"page_views_{n % 8}",
                "value": round(source.uniform(0, 500), 2),
                "tags": {"page": f"/page/{n}", "user_type": "premium"},
            }
        ).encode()
        for n in range(count)
    ]


def event_bodies(count: int = 64) -> list[bytes]:
    """Return bodies of ``POST /events``."""
    source = random.Random(2)
    return [
        json.dumps(
            {
                "event_name": f"user_signup_{n % 8}",
                "user_id": f"user_{source.randrange(10_000)}",
                "properties": {"plan": "premium", "referral_source": "google", "items": n},
            }
        ).encode()
        for n in range(count)
    ]


def dataset_bodies(rows: int = 10_000) -> Iterator[bytes]:
    """Yield the NDJSON bodies of the dataset: every name and host, over the last 20 hours.

    Values have at most one decimal and small totals, so that sums are exact in any order.
    """
    source = random.Random(3)
    end = time.time_ns() // 1_000_000 - 60_000
    step = _DATASET_SPAN_MS / DATASET_POINTS
    for start in range(0, DATASET_POINTS, rows):
        yield "\n".join(
            f'{{"metric_name":"{NAMES[n % len(NAMES)]}","value":{source.randrange(200) / 2},'
            f'"tags":{{"host":"h{n // len(NAMES) % HOSTS}","dc":"eu"}},'
            f'"timestamp":{end - int(n * step)}}}'
            for n in range(start, start + rows)
        ).encode()
