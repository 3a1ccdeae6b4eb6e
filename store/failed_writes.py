"""The repair of tables after failed writes.

chDB ignores that a write failed: on a full disk it commits parts whose files are too short, and
reports success. Only a counter tells. When the engine opens a table, it compares the sizes of all
files with their checksums, and moves damaged parts away. The parts that a merge had replaced are
then back: they stay on the disk for `old_parts_lifetime` seconds.

A file without any byte is the worst: the engine reads defaults, and a merge makes them look whole.
So all merges whose sources are still there are undone.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from store.driver import Connection, EngineError, read_answer
from store.parts import UNDONE_PREFIX, damaged_parts, undo_merges
from store.query.sql import Statement

_SPARE_BYTES: Final = 2**26

_COUNT: Final = Statement(
    "SELECT sum(value) AS writes FROM system.events"
    " WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
)
_TABLES: Final = Statement(
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
)
_DETACHED_TABLES: Final = Statement(
    "SELECT table AS name FROM system.detached_tables WHERE database = currentDatabase()"
)


class _Count(msgspec.Struct):
    writes: int


class _Table(msgspec.Struct):
    name: str


class WriteFailedError(EngineError):
    """A file of the store could not be written: the statement may have had no effect."""

    def __init__(self) -> None:
        """Use the code and the name that a server gives."""
        super().__init__(
            "Code: 75. A file of the store could not be written: there is not enough space, or the"
            " disk fails. (CANNOT_WRITE_TO_FILE_DESCRIPTOR)"
        )


def is_nearly_full(folder: Path) -> bool:
    """Say whether the disk of a folder has less space than a part may need. It takes 2 us."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize < _SPARE_BYTES


def count_failed_writes(connection: Connection) -> int:
    """Return the number of writes to files that failed in this process. It takes 1.7 ms."""
    data = read_answer(connection.run(_COUNT, "JSONEachRow")).data
    return msgspec.json.decode(data, type=_Count).writes


def check_writes(connection: Connection, expected: int) -> None:
    """Raise `WriteFailedError` if the number of failed writes is another one than before."""
    if count_failed_writes(connection) != expected:
        raise WriteFailedError


def reopen_tables(connection: Connection, engine_folder: Path) -> list[str]:
    """Open all tables again, without their damaged parts; return the parts whose rows are lost.

    No other statement may run. The rows of an insert are not lost: its caller got an error. Raises
    `EngineError` when a table can't be opened; the next call opens it.
    """
    for table in _names(connection, _TABLES):
        connection.run(Statement("DETACH TABLE {table:Identifier} SYNC", {"table": table}), "Null")
    try:
        undo_writes(engine_folder)
    except OSError as error:
        raise EngineError(str(error)) from error
    for table in _names(connection, _DETACHED_TABLES):
        connection.run(Statement("ATTACH TABLE {table:Identifier}", {"table": table}), "Null")
    remove_undone_merges(engine_folder)
    lost_parts = []
    for damaged_part in damaged_parts(engine_folder):
        if damaged_part.is_replaced or damaged_part.is_insert:
            shutil.rmtree(damaged_part.folder, ignore_errors=True)
        else:
            lost_parts.append(str(damaged_part.folder))
    return lost_parts


def undo_writes(engine_folder: Path) -> None:
    """Undo what a failed write may have damaged and the engine would not notice.

    Deletions that were not written whole keep the engine from opening a table. Their callers got an
    error.
    """
    for table_folder in engine_folder.glob("store/???/*"):
        for file in table_folder.glob("mutation_*.txt"):
            if not file.read_bytes().endswith(b"\n"):
                file.unlink()
        undo_merges(table_folder)


def remove_undone_merges(engine_folder: Path) -> None:
    """Remove the folders of undone merges, after the engine has opened their sources."""
    for folder in engine_folder.glob(f"store/???/*/detached/{UNDONE_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _names(connection: Connection, query: Statement) -> list[str]:
    data = read_answer(connection.run(query, "JSONEachRow")).data
    return [table.name for table in msgspec.json.Decoder(_Table).decode_lines(data)]
