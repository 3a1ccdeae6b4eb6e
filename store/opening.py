"""Opening of the engine on a data folder: repair, checks, migrations, the newest times."""

import asyncio
import itertools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from store.engine import Engine
from store.engine_folder import EngineFolder
from store.failed_writes import remove_undone_merges, undo_writes
from store.ingest.streams import TABLES
from store.journal.row_ids import first_batch_at
from store.journal.segments import Segment, segment_files
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


async def arrival_times(engine: Engine, newest_ms: int, segments: Iterable[Segment]) -> list[int]:
    """Return times of arrival of an earlier process in ms, the newest one of each table among them.

    Those of a table are looked for up to a minute after `newest_ms`.
    """
    times = [segment.path.stat().st_mtime_ns // 1_000_000 for segment in segments]
    first_batch, end_batch = first_batch_at(newest_ms - _SEGMENT_MS), newest_ms + _SEGMENT_MS
    for table in TABLES:
        statement = statements.newest_time(table, first_batch, end_batch)
        (newest,) = await engine.select(statement, statements.NewestTimeRow)
        times.append(newest.time_ms or 0)
    return times
