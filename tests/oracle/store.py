"""What a store must have, as plain dicts, and the requests that fill it."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from store.ingest.decoder import Batch
from store.ingest.streams import TABLES, AnyStream
from store.journal.row_counts import RowCounts
from store.journal.row_ids import Position
from store.query.sql import Statement

EVERYTHING: Final = Statement(
    """
SELECT 'metrics' AS table, simpleJSONExtractString(tags, 'k') AS key, client_id AS id, batch, row
FROM metrics
UNION ALL
SELECT 'events' AS table, user_id AS key, client_id AS id, batch, row FROM events""",
    reads=TABLES,
)


class Found(msgspec.Struct, frozen=True):
    """A stored row."""

    table: str
    key: str
    id: str
    batch: int
    row: int


@dataclass(frozen=True, slots=True)
class Line:
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
    lines: list[Line]
    bad: int
    batch: Batch[Any]

    @property
    def points(self) -> int:
        return sum(line.points for line in self.lines)


@dataclass(slots=True)
class Model:
    """What must be there: the lines by their keys, the keys by their ids, and the books."""

    live: dict[str, Line] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    places: dict[str, Position] = field(default_factory=dict)
    books: dict[str, RowCounts] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Note a line that is stored; its id must be new."""
        assert line.key not in self.live
        self.live[line.key] = line
        if line.id is not None:
            assert (line.table, line.id) not in self.ids, f"{line} is stored besides another"
            self.ids[line.table, line.id] = line.key

    def remove(self, table: str, name: str) -> None:
        """Note that the lines of a name are deleted."""
        for line in [x for x in self.live.values() if (x.table, x.name) == (table, name)]:
            del self.live[line.key]
            if line.id is not None:
                del self.ids[line.table, line.id]
