"""Opening of the engine on a data folder: repair, checks, migrations, the newest times."""

import asyncio
import itertools
import logging
from pathlib import Path
from typing import Final

from schema.scalars import Instant
from store.engine import Engine
from store.engine_folder import EngineFolder
from store.failed_writes import remove_undone_merges, undo_writes
from store.ingest.streams import TABLES
from store.journal.row_ids import first_batch_at
from store.journal.segments import segment_files
from store.migrate import migrate
from store.query import statements

_LOG: Final = logging.getLogger("analytics.store")
_SEGMENT_MS: Final = 60_000
"""Maximum age of a segment at its last row, unless the engine can't load."""


async def open_engine(engine: Engine, data: Path, *, was_closed: bool) -> None:
    """Repair and check the engine's folder, open the engine, bring its tables up to date."""
    folder = EngineFolder(engine.folder, data / "store.uuid")
    for link in await asyncio.to_thread(folder.repair):
        _LOG.warning("a link of the store was missing or wrong, and is repaired: %s", link)
    folder.check_owner()
    if not was_closed:
        await asyncio.to_thread(undo_writes, engine.folder)
    await engine.open()
    journals = (data / "journal").glob("*")
    batches = {int(path.stem) for path in itertools.chain(*map(segment_files, journals))}
    for name in folder.check_parts(waiting_batches=batches):
        _LOG.warning("a damaged part is set aside, its rows are elsewhere: %s", name)
    await asyncio.to_thread(remove_undone_merges, engine.folder)
    await migrate(engine)
    folder.note_owner()  # the engine creates the database with its first table


async def newest_times(engine: Engine, newest_ms: int) -> list[Instant]:
    """Return the newest time of arrival in each table, up to a minute after `newest_ms`."""
    first_batch, end_batch = first_batch_at(newest_ms - _SEGMENT_MS), newest_ms + _SEGMENT_MS
    times = []
    for table in TABLES:
        statement = statements.newest_time(table, first_batch, end_batch)
        (newest,) = await engine.select(statement, statements.NewestTimeRow)
        times.append(Instant(newest.time_ms or 0))
    return times
