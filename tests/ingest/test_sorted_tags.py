"""Tags become sorted: those of an earlier version, and those in the order of their sender."""

from pathlib import Path
from typing import Any, Final

import msgspec

from store.ingest.streams import METRIC_STREAM
from store.migrate import FOLDER, migrate
from store.query.sql import Scan, Statement
from tests.harness.service import NOON
from tests.harness.spellings import learn_body
from tests.harness.stores import leave_segments, open_engine, open_store


class _Tags(msgspec.Struct):
    tags: str


def sorted_text(tags: dict[str, str]) -> str:
    """Return the canonical text of tags: sorted by the UTF-8 bytes of their keys."""
    pairs = sorted(tags.items(), key=lambda pair: pair[0].encode())
    return msgspec.json.encode(dict(pairs)).decode() if tags else ""


ODD: Final[list[dict[str, str]]] = [
    {"b": "1", "a": "2"},
    {"a": "2", "b": "1"},
    {},
    {"only": "one"},
    {"ab": "1", "a": "2"},
    {"\U00010000": "1", "\uffff": "2", "é": "\n\x01\x7f"},
    {'"': '","', ",": '":"', "\\": "\\", "!": "/"},
    {"z": '"},{"', "]": "", "[": ":", "b": "\\\\"},
]


def unsorted_text(tags: dict[str, str]) -> str:
    """Return tags as an earlier version stored them: in the order of the request."""
    return msgspec.json.encode(tags).decode()


async def test_stored_tags_are_sorted_by_the_migration(tmp_path: Path) -> None:
    """The migration sorts the tags of stored rows, and can run twice."""
    files = sorted(FOLDER.glob("0*.sql"))
    before = tmp_path / "migrations"
    before.mkdir()
    for file in files:
        if int(file.name[:4]) < 9:
            (before / file.name).write_text(file.read_text())
    sort = next(file for file in files if file.name.startswith("0009")).read_text()
    row = (
        "INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)"
        " SELECT 'default', 'm', now64(3), 1, {tags:String}, '', {n:UInt64}, {n:UInt64}"
    )
    async with open_engine(tmp_path / "store") as engine:
        await migrate(engine, before)
        for n, tags in enumerate(ODD):
            await engine.write(Statement(row, {"tags": unsorted_text(tags), "n": 7 * 10**15 + n}))
        await migrate(engine)
        await engine.write(Statement(sort.rstrip().removesuffix(";")))
        stored_rows = await engine.select(
            Statement("SELECT tags FROM metrics ORDER BY batch"), _Tags
        )
    assert [row.tags for row in stored_rows] == [sorted_text(tags) for tags in ODD]


async def test_leftover_segments_are_loaded_sorted(tmp_path: Path) -> None:
    """Unsorted tags that an earlier version left in the journal are stored sorted."""
    data = tmp_path / "data"
    rows: list[dict[str, Any]] = [
        {"metric_name": "m", "value": 1, "tags": tags, "timestamp": NOON} for tags in ODD
    ]
    await leave_segments(
        data / "journal" / METRIC_STREAM.name,
        (msgspec.json.Encoder().encode_lines(rows), len(rows)),
    )
    async with open_store(data) as store:
        statement = Statement("SELECT tags FROM metrics ORDER BY row", scans=(Scan("metrics"),))
        stored_rows = await store.select(statement, _Tags)
    assert [row.tags for row in stored_rows] == [sorted_text(tags) for tags in ODD]


ORDERS: Final[list[tuple[str, ...]]] = [
    ("b", "a"),
    ("z", "é", "a.b"),
    ("(", "'", "$", "b"),
    tuple("987654321"),
    tuple("ba9876543210"),
]


async def test_tags_of_any_order_are_stored_sorted(tmp_path: Path) -> None:
    """Tags of lines that keep their sender's order are stored sorted, beside sorted ones."""
    rows: list[dict[str, Any]] = [
        {
            "metric_name": "m",
            "value": 1,
            "tags": dict.fromkeys(order, f"{n} x"),
            "timestamp": NOON,
        }
        for order in ORDERS
        for n in range(60)
    ]
    lines = [line + b"\n" for line in map(msgspec.json.encode, rows)]
    async with open_store(tmp_path / "data") as store:
        for start in range(0, len(lines), 60):
            body = b"".join(lines[start : start + 60])
            for _ in range(2):
                batch = store.reader.templates.read_batch(METRIC_STREAM.row_type, body, NOON)
                await store.record(METRIC_STREAM, batch)
                learn_body(store.reader.templates, body)
            assert batch.conversions.tag_orders == frozenset((ORDERS[start // 60],))
        statement = Statement("SELECT tags FROM metrics", scans=(Scan("metrics"),))
        stored_rows = await store.select(statement, _Tags)
    expected = [sorted_text(row["tags"]) for row in rows]
    assert sorted(row.tags for row in stored_rows) == sorted(expected * 2)
