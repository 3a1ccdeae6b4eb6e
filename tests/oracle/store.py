"""What a store must have, as plain dicts, and the requests that fill it."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from store.ingest.decoder import Batch
from store.ingest.streams import TABLES, AnyStream
from store.journal.row_counts import RowCounts
from store.journal.row_ids import Position
from store.query.sql import Statement

ALL_ROWS: Final = Statement(
    """
SELECT 'metrics' AS table, simpleJSONExtractString(tags, 'k') AS key, client_id AS id, batch, row
FROM metrics
UNION ALL
SELECT 'events' AS table, user_id AS key, client_id AS id, batch, row FROM events""",
    reads=TABLES,
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
    """A row that is sent: its key is its own, its id need not be. `points` only in a series."""

    key: str
    stream: str
    table: str
    name: str
    id: str | None
    points: int


@dataclass(slots=True)
class Request:
    """A batch that is sent: its good rows, and how many bad ones are beside them."""

    stream: AnyStream
    rows: list[SentRow]
    bad_rows: int
    batch: Batch[Any]

    @property
    def points(self) -> int:
        return sum(line.points for line in self.rows)


@dataclass(slots=True)
class Model:
    """What must be there: the lines by their keys, the keys by their ids, and the books."""

    rows: dict[str, SentRow] = field(default_factory=dict)
    keys_by_id: dict[tuple[str, str], str] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    counters: dict[str, RowCounts] = field(default_factory=dict)

    def add(self, line: SentRow) -> None:
        """Note a line that is stored; its id must be new."""
        assert line.key not in self.rows
        self.rows[line.key] = line
        if line.id is not None:
            assert (line.table, line.id) not in self.keys_by_id, f"{line} is stored besides another"
            self.keys_by_id[line.table, line.id] = line.key

    def remove(self, table: str, name: str) -> None:
        """Note that the lines of a name are deleted."""
        for line in [x for x in self.rows.values() if (x.table, x.name) == (table, name)]:
            del self.rows[line.key]
            if line.id is not None:
                del self.keys_by_id[line.table, line.id]
