"""Estimates of the rows that a scan reads, from the engine's sparse index, kept in the process.

The index has the sort key of the first of each 8,192 rows: project, name and time. So an estimate
is two binary searches, and knows as much as the engine before it reads.
"""

import asyncio
import contextlib
import itertools
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schema.errors import AnalyticsError
from store.driver import EngineError
from store.engine import Engine
from store.query import statements
from store.query.sql import Scan
from store.query.statements import GRANULE_ROWS, GranulesRow
from store.query.tables import TABLE_BY_NAME

_REFRESH_SECONDS: Final = 5.0
_REFRESH_SHARE: Final = 50
"""A refresh waits so many times as long as the last one took: it takes 2 % of a core at most."""


class _Granules(NamedTuple):
    """Times (ms) of the first rows of granules, sorted: of all names, and of each name."""

    all_times: Sequence[int]
    by_name: Mapping[str, Sequence[int]]

    def rows(self, scan: Scan) -> float:
        """Estimate the rows of a scan, a granule too many rather than too few."""
        if scan.stops_early:
            return GRANULE_ROWS
        if scan.names is None:
            rows = _rows_between(self.all_times, scan)
        else:
            rows = sum(_rows_between(self.by_name.get(name, ()), scan) for name in scan.names)
        if scan.name_limit is not None:
            rows *= min(1.0, scan.name_limit / max(1, len(self.by_name)))
        return rows


_NO_GRANULES: Final = _Granules((), {})


class RowEstimates:
    """The sparse index of the tables, read again in the background."""

    def __init__(self, engine: Engine) -> None:
        """Estimate one granule for each scan, until `start` has read the index."""
        self._engine = engine
        self._granules: dict[tuple[str, str], _Granules] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read the index."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop reading the index."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def rows(self, project: str, scan: Scan) -> float:
        """Estimate the rows of a project that a scan reads."""
        return self._granules.get((scan.table, project), _NO_GRANULES).rows(scan)

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            # The engine is busy, or repairs a table: the last index serves on.
            with contextlib.suppress(AnalyticsError, EngineError):
                await self.refresh()
            took = time.monotonic() - began
            await asyncio.sleep(max(_REFRESH_SECONDS, took * _REFRESH_SHARE))

    async def refresh(self) -> None:
        """Read the index."""
        granules: dict[tuple[str, str], _Granules] = {}
        for table in TABLE_BY_NAME:
            rows = await self._engine.select(statements.sparse_index(table), GranulesRow)
            by_project = await asyncio.to_thread(_by_project, rows)
            granules |= {(table, project): entry for project, entry in by_project.items()}
        self._granules = granules


def _by_project(rows: Sequence[GranulesRow]) -> dict[str, _Granules]:
    by_name: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for row in rows:
        by_name[row.project][row.name] = row.times
    return {
        project: _Granules(sorted(itertools.chain(*times_by_name.values())), times_by_name)
        for project, times_by_name in by_name.items()
    }


def _rows_between(times: Sequence[int], scan: Scan) -> float:
    if scan.time_range is None:
        return (len(times) + 1) * GRANULE_ROWS
    start, end = scan.time_range
    return (bisect_left(times, end) - bisect_left(times, start) + 1) * GRANULE_ROWS
