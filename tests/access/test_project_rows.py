"""Rows of projects in the journal and the engine: across restarts, set aside, in development."""

import random
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from resolvers import ingestion
from resolvers.context import Context
from schema.access import ALL_RIGHTS, PROJECT, KeyKind
from settings import Settings
from store import Store
from store.access.registry import KeyRequest
from store.ingest.streams import EVENT_STREAM, METRIC_STREAM, SERIES_STREAM
from store.journal.project_lines import split_project, with_project
from tests.harness.access import bearer
from tests.harness.service import run_service
from tests.harness.stores import open_store, wait_until

PROJECTS: Final = (PROJECT, "shop", "x-1_y")
LINES: Final = [
    b'{"metric_name":"a","value":1}\n',
    b'{"metric_name":"a\\n{","value":1}\n',
    b'{"metric_name":"{\\"project\\":\\"b\\",","value":1}\n',
]


@pytest.mark.parametrize("project", PROJECTS)
def test_lines_keep_their_project(project: str) -> None:
    """Each line says its project, and is unchanged without it."""
    for lines in (LINES[:1], LINES, LINES * 3):
        text = with_project(b"".join(lines), project)
        parts = [split_project(line + b"\n") for line in text.split(b"\n")[:-1]]
        assert parts == [(project, line) for line in lines]


async def test_projects_survive_a_restart(tmp_path: Path) -> None:
    """Rows of several projects in one leftover segment are loaded into theirs, once each."""
    data = tmp_path / "data"
    randomness = random.Random(7)
    bodies = {
        METRIC_STREAM: b'{"metric_name":"m","value":1,"id":"%d"}',
        EVENT_STREAM: b'{"event_name":"m","id":"%d"}',
        SERIES_STREAM: b'{"metric_name":"m","timestamps":[1,2],"values":[1,2],"id":"s%d"}',
    }
    rows: dict[tuple[str, str], int] = {}
    async with open_store(data) as store:
        await wait_until(lambda: all(ids.is_ready for ids in store._ids.values()))
        for loader in store._loaders.values():
            assert loader._task
            loader._task.cancel()
        for n in range(60):
            stream: Any = randomness.choice(list(bodies))
            project = randomness.choice(PROJECTS)
            batch = await read(store, stream, bodies[stream] % n, project)
            await store.record(stream, batch)
            rows[stream.table, project] = rows.get((stream.table, project), 0) + batch.points
        store._loaders.clear()
    async with open_store(data) as store:
        await wait_until(lambda: all(loader.has_recovered for loader in store._loaders.values()))
        for (table, project), count in rows.items():
            ctx = Context(store).in_project(project)
            statement = ctx.rows(table).statement("SELECT count() AS rows")
            assert (await store.select(statement, dict))[0]["rows"] == count
        row = b'{"metric_name":"m","value":1,"id":"new"}'
        for project in PROJECTS:
            batch = await read(store, METRIC_STREAM, row, project)
            assert (await store.record(METRIC_STREAM, batch)).points == 1


async def read(store: Store, stream: Any, body: bytes, project: str) -> Any:
    """Parse a batch of a project."""
    batch = await store.reader.read_batch(stream.row_type, body, Context(store).now(), {}, None)
    batch.project = project
    return batch


async def test_set_aside_rows_are_of_their_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that the engine can't load is listed and replayed for its project only."""
    monkeypatch.setattr("store.loader._BACKOFF", (0.01,))
    poison = b'{"metric_name":"m","value":"1e","timestamp":1800000000000}\n'
    async with open_store(tmp_path / "data") as store:
        journal = store._journals["metrics"]
        for project in PROJECTS:
            await journal.append(with_project(poison, project), 1)
        await wait_until(lambda: not journal.newest_batch)
        for project in PROJECTS:
            ctx = Context(store, ALL_RIGHTS).in_project(project)
            assert [row.text for row in ingestion.set_aside(ctx, 10)] == [poison.decode().strip()]
        for file in journal.dead_letters.files():
            file.write_bytes(file.read_bytes().replace(b'"1e"', b"1"))
        ctx = Context(store).in_project("shop")
        payload = await ingestion.replay(ctx)
        assert (payload.stored, payload.left) == (1, 0)
        assert ingestion.set_aside(ctx, 10) == []
        statement = ctx.rows("metrics").statement("SELECT count() AS rows")
        assert await store.select(statement, dict) == [{"rows": 1}]
        assert len(ingestion.set_aside(Context(store).in_project("x-1_y"), 10)) == 1


async def test_development_names_projects_without_keys(tmp_path: Path) -> None:
    """In development a request may name any project."""
    settings = Settings(data=tmp_path, store=tmp_path / "store")
    async with run_service(settings) as service:
        headers = {"Analytics-Project": "shop"}
        assert (await service.http.get("/metrics", headers=headers)).status_code == 404
        await service.context.store.keys.create_project("shop")
        row = {"metric_name": "m", "value": 1}
        assert (await service.post("/metrics", row, **headers)).status_code == 200
        assert (await service.http.get("/metrics", headers=headers)).json()["metrics"] == ["m"]
        assert (await service.http.get("/metrics")).json()["metrics"] == []
        _, secret = await service.context.store.keys.create(
            KeyRequest("k", KeyKind.SECRET, project="shop")
        )
        answer = await service.http.get("/metrics", headers=bearer(secret))
        assert msgspec.json.decode(answer.content)["metrics"] == ["m"]
