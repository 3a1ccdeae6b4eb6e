"""Model of a store as plain dicts, and the requests that fill it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from schema.errors import AnalyticsError
from store import Store
from store.ingest.decoder import Batch
from store.ingest.streams import TABLES, AnyStream
from store.journal.row_counts import RowCounts
from store.journal.row_ids import Position
from store.query.sql import Scan, Statement

ALL_ROWS: Final = Statement(
    """
SELECT 'metrics' AS table, simpleJSONExtractString(tags, 'k') AS key, client_id AS id, batch, row
FROM metrics
UNION ALL
SELECT 'events' AS table, user_id AS key, client_id AS id, batch, row FROM events""",
    scans=tuple(map(Scan, TABLES)),
)


class TableRow(msgspec.Struct, frozen=True):
    """A stored row."""

    table: str
    key: str
    id: str
    batch: int
    row: int


@dataclass(frozen=True, slots=True)
class SentRow:
    """A row of a request: its key is unique, its id need not be; only a series has points."""

    key: str
    stream: str
    table: str
    name: str
    id: str | None
    points: int


@dataclass(slots=True)
class Request:
    """A batch of a request: its good rows, and the number of its bad rows."""

    stream: AnyStream
    rows: list[SentRow]
    bad_rows: int
    batch: Batch[Any]

    @property
    def points(self) -> int:
        return sum(row.points for row in self.rows)


@dataclass(slots=True)
class Model:
    """Rows by key, keys by id, positions and row counts, as the store must have them."""

    rows: dict[str, SentRow] = field(default_factory=dict)
    keys_by_id: dict[tuple[str, str], str] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    counters: dict[str, RowCounts] = field(default_factory=dict)

    def add(self, row: SentRow) -> None:
        """Note a stored row; its id must be new."""
        assert row.key not in self.rows
        self.rows[row.key] = row
        if row.id is not None:
            assert (row.table, row.id) not in self.keys_by_id, f"{row} has the id of another row"
            self.keys_by_id[row.table, row.id] = row.key

    def remove(self, table: str, name: str) -> None:
        """Note that the rows of a name are deleted."""
        for row in [
            candidate
            for candidate in self.rows.values()
            if (candidate.table, candidate.name) == (table, name)
        ]:
            del self.rows[row.key]
            if row.id is not None:
                del self.keys_by_id[row.table, row.id]


async def select_all_rows(store: Store) -> list[TableRow]:
    """Select all rows; while loads fail, a query may be unavailable until they are given up."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await store.select(ALL_ROWS, TableRow)
            except AnalyticsError as error:
                assert error.code == "UNAVAILABLE"  # noqa: PT017 - asked again
