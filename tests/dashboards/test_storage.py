"""Dashboards on the disk: every save, deletion and crash leaves the old or the new state."""

import asyncio
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.dashboards.content import DashboardContent, PanelContent, PanelKind
from schema.errors import AnalyticsError
from schema.limits import LimitTable
from store.dashboards.dashboards import Dashboards, SaveRequest
from store.dashboards.versions import Header, ProjectFolder, spend_nothing

PROJECT: Final = "shop"
KEPT_VERSIONS: Final = 4
LIMITS: Final = LimitTable({"dashboardVersions": KEPT_VERSIONS, "dashboards": 5})


def content_of(title: str, slug: str = "") -> DashboardContent:
    """Return a content whose title is its only text."""
    return DashboardContent(title, slug, panels=(PanelContent(PanelKind.TEXT, text=title * 50),))


async def texts_of(dashboards: Dashboards) -> dict[str, list[str]]:
    """Return the titles of the versions of each dashboard, oldest first."""
    texts: dict[str, list[str]] = {}
    for header in await dashboards.all_headers(PROJECT):
        history = await dashboards.history(PROJECT, header.id, spend_nothing)
        assert history[0].number == header.number
        texts[header.id] = []
        for entry in reversed(history):
            version = await dashboards.read(PROJECT, header.id, entry.number, spend_nothing)
            assert version is not None
            assert version.content == content_of(entry.content.title, version.content.slug)
            texts[header.id].append(version.content.title)
    return texts


OPERATIONS: Final = st.lists(
    st.tuples(st.sampled_from(["new", "edit", "restore", "delete"]), st.integers(0, 9)),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(OPERATIONS, st.randoms())
def test_a_dictionary_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], dice: Any
) -> None:
    """Random saves, restorations and deletions by two processes do what a dictionary does."""
    data = tmp_path_factory.mktemp("data")
    processes = [Dashboards(data, LIMITS), Dashboards(data, LIMITS)]
    model: dict[str, list[str]] = {}
    numbers: dict[str, int] = {}

    async def step(operation: str, number: int, text: str) -> None:
        dashboards = dice.choice(processes)
        if operation == "new":
            request = SaveRequest(content_of(text))
            if len(model) == 5:
                with pytest.raises(AnalyticsError, match="dashboards"):
                    await dashboards.save(PROJECT, request)
                return
            header = await dashboards.save(PROJECT, request)
            assert header.number == 1
            model[header.id], numbers[header.id] = [text], 1
        elif model:
            dashboard_id = sorted(model)[number % len(model)]
            if operation == "delete":
                await dashboards.delete(PROJECT, dashboard_id)
                del model[dashboard_id]
                return
            if operation == "restore":
                text = model[dashboard_id][0]
            request = SaveRequest(content_of(text), id=dashboard_id, version=numbers[dashboard_id])
            numbers[dashboard_id] += 1
            assert (await dashboards.save(PROJECT, request)).number == numbers[dashboard_id]
            model[dashboard_id] = [*model[dashboard_id], text][-KEPT_VERSIONS:]

    async def run() -> None:
        for index, (operation, number) in enumerate(operations):
            await step(operation, number, f"t{index}")
            for dashboards in (*processes, Dashboards(data, LIMITS)):
                assert await texts_of(dashboards) == model
                slugs = [header.slug for header in await dashboards.all_headers(PROJECT)]
                assert len(set(slugs)) == len(slugs)

    asyncio.run(run())


async def test_one_of_two_savers_is_told(tmp_path: Path) -> None:
    """Of savers that edited one version, exactly one succeeds; the others get CONFLICT."""
    processes = [Dashboards(tmp_path, LIMITS) for _ in range(4)]
    header = await processes[0].save(PROJECT, SaveRequest(content_of("a")))
    for number in range(1, 10):
        request = SaveRequest(content_of("b"), id=header.id, version=number)
        saves = [process.save(PROJECT, request) for process in processes]
        results = await asyncio.gather(*saves, return_exceptions=True)
        errors = [result for result in results if isinstance(result, AnalyticsError)]
        assert [error.code for error in errors] == ["CONFLICT"] * 3
        for process in processes:
            current = await process.find(PROJECT, header.id)
            assert current is not None
            assert current.number == number + 1


async def test_two_new_dashboards_share_no_slug(tmp_path: Path) -> None:
    """Dashboards with one title get slugs of their own, also if they are saved at once."""
    processes = [Dashboards(tmp_path, LIMITS) for _ in range(5)]
    saves = [process.save(PROJECT, SaveRequest(content_of("Über uns!"))) for process in processes]
    slugs = {header.slug for header in await asyncio.gather(*saves)}
    assert slugs == {"uber-uns", *(f"uber-uns-{number}" for number in range(2, 6))}


async def test_a_save_writes_one_file(tmp_path: Path) -> None:
    """A save leaves the files of earlier versions and of other dashboards alone."""
    dashboards = Dashboards(tmp_path, LIMITS)
    ids = [(await dashboards.save(PROJECT, SaveRequest(content_of(t)))).id for t in "abc"]

    def states() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}

    before = states()
    await dashboards.save(PROJECT, SaveRequest(content_of("d"), id=ids[0], version=1))
    changes = dict(states().items() - before.items())
    assert [path.name for path in changes] == ["2.json"]
    assert before.items() <= states().items()


async def test_a_damaged_file_hides_one_dashboard(tmp_path: Path) -> None:
    """A file that somebody damaged leaves the other dashboards as they are."""
    dashboards = Dashboards(tmp_path, LIMITS)
    ids = [(await dashboards.save(PROJECT, SaveRequest(content_of(t)))).id for t in "ab"]
    for damage in (b"", b"{}", b'{"number": 1, "content": {"title": 1}}', b"\0" * 100, b"[" * 5000):
        (tmp_path / "dashboards" / PROJECT / ids[0] / "1.json").write_bytes(damage)
        assert list(await texts_of(Dashboards(tmp_path, LIMITS))) == [ids[1]]
        with pytest.raises(AnalyticsError) as excinfo:
            await dashboards.read(PROJECT, ids[0], 1, spend_nothing)
        assert excinfo.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("dashboard_id", ["../other", "..", ".", "", "/etc", "lock", "a\0b", "é"])
async def test_an_id_is_no_path(tmp_path: Path, dashboard_id: str) -> None:
    """An id of a request finds dashboards of its project only, never another file."""
    dashboards = Dashboards(tmp_path, LIMITS)
    await dashboards.save("other", SaveRequest(content_of("a")))
    await dashboards.save(PROJECT, SaveRequest(content_of("b")))
    assert await dashboards.find(PROJECT, dashboard_id) is None
    for operation in (
        dashboards.delete(PROJECT, dashboard_id),
        dashboards.save(PROJECT, SaveRequest(content_of("c"), id=dashboard_id, version=1)),
    ):
        with pytest.raises(AnalyticsError) as excinfo:
            await operation
        assert excinfo.value.code == "NOT_FOUND"
    assert len(await dashboards.all_headers("other")) == 1


def _die_at(step: int, data: Path, header: Header, operation: str) -> bool:
    """Change a dashboard in a process that is killed at a step; say whether it came so far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    steps = 0

    def count(event: str, _: object) -> None:
        nonlocal steps
        if event.startswith(("open", "os.", "fcntl.", "shutil.")):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        if operation == "delete":
            folder = ProjectFolder(data / "dashboards", PROJECT)
            with folder.change():
                folder.delete(header.id)
        else:
            dashboard_id = None if operation == "new" else header.id
            request = SaveRequest(content_of("after"), id=dashboard_id, version=header.number)
            Dashboards(data, LIMITS).save_now(PROJECT, request)
    finally:
        os._exit(0)


@pytest.mark.parametrize("operation", ["new", "edit", "delete"])
async def test_kill_at_every_step(tmp_path: Path, operation: str) -> None:
    """A process that is killed at any step leaves the old state or the new one, and no lock."""
    step, states = 1, set()
    while True:
        data = tmp_path / str(step)
        data.mkdir()
        dashboards = Dashboards(data, LIMITS)
        header = await dashboards.save(PROJECT, SaveRequest(content_of("old")))
        for number in range(1, KEPT_VERSIONS):
            edit = SaveRequest(content_of("old"), id=header.id, version=number)
            header = await dashboards.save(PROJECT, edit)
        before = await texts_of(dashboards)
        was_killed = _die_at(step, data, header, operation)
        texts = await texts_of(dashboards)  # it follows what the other process did
        assert texts == await texts_of(Dashboards(data, LIMITS))
        is_new = texts != before
        states.add(is_new)
        old, news = before[header.id], {key: texts[key] for key in texts.keys() - before.keys()}
        match operation:
            case "new":
                assert {**before, **news} == texts
                assert list(news.values()) in ([], [["after"]])
            case "edit":
                assert texts[header.id] in (old, [*old, "after"], [*old, "after"][-KEPT_VERSIONS:])
            case _:
                assert texts in (before, {})
        request = SaveRequest(content_of("later"))
        assert (await dashboards.save(PROJECT, request)).number == 1
        if not was_killed:
            assert is_new
            break
        step += 1
    assert step > 8
    assert states == {False, True}
