"""The tables that queries read: name, time column and row order of each."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows: `row_order` lists the columns that sort rows by time, each row once."""

    name: str
    time_column: str
    row_order: tuple[str, ...]


METRICS: Final = Table("metrics", "time", ("time", "batch", "row"))
EVENTS: Final = Table("events", "time", ("time", "batch", "row"))

TABLE_BY_NAME: Final = {table.name: table for table in (METRICS, EVENTS)}
