"""The large dataset: ten million points and two million events.

``python -m bench.large_dataset FOLDER`` inserts the rows with the engine, without the API. It is a
separate process, because the engine lives as long as its process. The rows are the same in every
run, except for their times. The times end one minute before the run.
"""

import asyncio
import sys
import time
from pathlib import Path

from settings import Settings
from store import Store
from store.journal.row_ids import first_batch_at
from store.limits import Limits
from store.query.sql import Statement

POINTS = 10_000_000
EVENTS = 2_000_000
NAMES = tuple(f"m{n:02}" for n in range(50))
"""Names of the metrics. Each has the same number of points, spread evenly over the days."""

DAYS = 30

_DAY_MS = 86_400_000
_SLOTS = {"points": POINTS, "names": len(NAMES), "events": EVENTS, "span": DAYS * _DAY_MS}

# Each batch has 100,000 rows and a number from yesterday. Values have one decimal.
_METRICS = """
INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)
SELECT 'default', 'm' || leftPad(toString(number % {names:UInt32}), 2, '0'),
    fromUnixTimestamp64Milli(
        {end:Int64} - intDiv(({points:Int64} - 1 - number) * {span:Int64}, {points:Int64}), 'UTC'),
    sipHash64(number) % 2000 / 10,
    '{"host":"web-' || toString(intDiv(number, 50) % 20)
        || '","region":"r' || toString(intDiv(number, 50) % 3) || '"}',
    '', {batch:UInt64} + intDiv(number, 100000), number % 100000
FROM numbers({points:UInt64})"""

_EVENTS = """
INSERT INTO events (project, name, time, user_id, properties, client_id, batch, row)
SELECT 'default', 'e' || toString(sipHash64(number, 0) % 10),
    fromUnixTimestamp64Milli(
        {end:Int64} - intDiv(({events:Int64} - 1 - number) * {span:Int64}, {events:Int64}), 'UTC'),
    'u' || toString(sipHash64(number, 1) % 50000),
    '{"plan":"p' || toString(sipHash64(number, 2) % 5)
        || '","amount":' || toString(sipHash64(number, 3) % 1000)
        || ',"path":"/p/' || toString(sipHash64(number, 4) % 200)
        || '","cart":{"total":' || toString(sipHash64(number, 5) % 100) || '.5,"items":3}}',
    '', {batch:UInt64} + intDiv(number, 100000), number % 100000
FROM numbers({events:UInt64})"""


async def load(folder: Path) -> None:
    """Insert the dataset into an empty data folder."""
    settings = Settings(data=folder, store=folder / "store")
    limits = Limits.of_this_machine()
    store = Store(
        settings.data, settings.store, limits, settings.journal_bytes, settings.names_per_project
    )
    await store.open()
    try:
        now = time.time_ns() // 1_000_000
        params = _SLOTS | {"end": now - 60_000, "batch": first_batch_at(now - _DAY_MS)}
        for text in (_METRICS, _EVENTS):
            await store.engine.write(Statement(text, params))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(load(Path(sys.argv[1])))
