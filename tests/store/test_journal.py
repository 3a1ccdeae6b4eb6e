"""The journal alone: acknowledged rows are on the disk, unavailable rows are not."""

import asyncio
import contextlib
import errno
import os
import random
import resource
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from schema.errors import AnalyticsError
from store.journal.journal import Journal
from store.journal.row_ids import BatchNumbers, Position
from store.loader import Loader
from tests.harness import stores
from tests.harness.fault_injection import BlockingSync, FailingSync
from tests.harness.stores import journal_lines, open_journal, open_store, record, stored_keys

_SYNC = "store.journal.open_segment._sync_data"
_SYNC_FOLDER = "store.journal.journal.sync_folder"


async def append(log: Journal, *names: str) -> Position:
    return await log.append(journal_lines(names), len(names))


async def refusal(call: Callable[[], Awaitable[Position]]) -> AnalyticsError:
    """Return the error of an append that must fail."""
    with pytest.raises(AnalyticsError) as error:
        await call()
    return error.value


def recovered_keys(folder: Path) -> list[str]:
    """Recover a copy of a journal, as after a crash, and list its keys."""
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("probe*"))  # they come and go
    Journal(copy, BatchNumbers(folder.parent / "node"), 2**30).recover()
    keys = []
    for file in sorted(copy.glob("*.ndjson")):
        rows = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
        keys += [row["tags"]["k"] for row in rows if "tags" in row]
    return keys


def open_files() -> list[str]:
    """List the files that this process has open."""
    paths = []
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            paths.append(str(descriptor.readlink()))
    return paths


async def test_append_answers_only_when_its_rows_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are written but not synced are not acknowledged."""
    sync = BlockingSync()
    monkeypatch.setattr(_SYNC, sync)
    async with open_journal(tmp_path / "j") as log:
        answer = asyncio.create_task(append(log, "a"))
        await sync.await_call()
        await asyncio.wait([answer], timeout=0.05)
        assert not answer.done()
        assert sync.sizes == [sum(f.stat().st_size for f in (tmp_path / "j").glob("*.ndjson"))]
        sync.permits.release()
        assert (await answer).row == 1
        assert recovered_keys(tmp_path / "j") == ["a"]


async def test_all_that_wait_share_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred appends during one fdatasync share the next one, and keep their order."""
    sync = BlockingSync()
    monkeypatch.setattr(_SYNC, sync)
    async with open_journal(tmp_path / "j") as log:
        first = asyncio.create_task(append(log, "first"))
        await sync.await_call()
        rest = [asyncio.create_task(append(log, f"{n}", f"{n}+")) for n in range(100)]
        await asyncio.sleep(0)
        sync.permits.release(2)
        positions = [await first, *await asyncio.gather(*rest)]
        assert len(sync.sizes) == 2
        # The header of each group counts as a row.
        assert [p.row for p in positions] == [1, *range(3, 203, 2)]
        assert len({p.batch for p in positions}) == 1


async def test_positions_are_the_rows_of_the_engine(tmp_path: Path) -> None:
    """The acknowledged position, from which the id is made, is the stored row's position."""
    async with open_store(tmp_path / "data") as store:
        sizes = [1, 2, 500, 1, 30]
        names = [[f"{n}-{i}" for i in range(size)] for n, size in enumerate(sizes)]
        positions = await asyncio.gather(*(record(store, *batch) for batch in names))
        positions.append(await record(store, "later"))
        names.append(["later"])
        stored_positions = {
            row.key: (row.batch, row.row) for row in await stores.stored_rows(store)
        }
    expected = {
        key: (position.batch, position.row + i)
        for batch, position in zip(names, positions, strict=True)
        for i, key in enumerate(batch)
    }
    assert stored_positions == expected


@pytest.mark.parametrize(("limit", "value"), [("SEGMENT_ROWS", 10), ("SEGMENT_BYTES", 1000)])
async def test_full_segment_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """A segment at its limit of rows or bytes is sealed, and the next has a new number."""
    monkeypatch.setattr(f"store.journal.journal.{limit}", value)
    async with open_journal(tmp_path / "j") as log:
        for n in range(40):
            await append(log, f"{n:02}")
        segments = log.sealed_segments
        files = sorted((tmp_path / "j").glob("*.ndjson"))
        assert [s.path for s in segments] == files[: len(segments)] != []
        assert [s.bytes for s in segments] == [s.path.stat().st_size for s in segments]
        if limit == "SEGMENT_ROWS":
            assert [s.rows for s in segments] == [10, 10, 10, 10]
        else:
            for segment in segments:  # headers differ in length, as their checksums do
                last_group = sum(map(len, segment.path.read_bytes().splitlines(keepends=True)[-2:]))
                assert segment.bytes - last_group < value <= segment.bytes
        assert len({s.batch for s in segments}) == len(segments)
        assert recovered_keys(tmp_path / "j") == [f"{n:02}" for n in range(40)]


def only_segment(folder: Path) -> bytes:
    """Return the bytes of the only segment in a folder."""
    (file,) = folder.glob("*.ndjson")
    return file.read_bytes()


async def write_six_groups(folder: Path) -> tuple[bytes, list[int], list[int]]:
    """Write a segment of six groups; return its bytes, and bytes and rows up to each group."""
    ends, rows = [0], [0]
    async with open_journal(folder) as log:
        for n, size in enumerate((3, 1, 2, 1, 3, 2)):
            await append(log, *(f"{n}{i}" for i in range(size)))
            ends.append(len(only_segment(folder)))
            rows.append(rows[-1] + size)
    return only_segment(folder), ends, rows


def recover_segment(folder: Path, content: bytes) -> tuple[int, bytes, bytes, int]:
    """Recover a changed copy of the segment in `j`.

    Return the rows, the bytes that remain, the bytes set aside, and the number of segments.
    """
    (origin,) = (folder.parent / "j").glob("*.ndjson")
    path = folder / origin.name
    torn_file = path.with_suffix(".torn")
    torn_file.unlink(missing_ok=True)
    path.write_bytes(content)
    log = Journal(folder, BatchNumbers(folder.parent / "node"), 2**30)
    reports = log.recover()
    remaining_bytes = path.read_bytes() if path.exists() else b""
    assert sum(s.bytes for s in log.sealed_segments) == len(remaining_bytes) == log.bytes
    torn_bytes = torn_file.read_bytes() if torn_file.exists() else b""
    assert bool(reports) == bool(torn_bytes)
    return (
        sum(s.rows for s in log.sealed_segments),
        remaining_bytes,
        torn_bytes,
        len(log.sealed_segments),
    )


async def test_any_cut_keeps_the_whole_groups(tmp_path: Path) -> None:
    """A cut at any byte of the last groups keeps the whole groups and sets the rest aside."""
    content, ends, rows = await write_six_groups(tmp_path / "j")
    folder = tmp_path / "cut"
    folder.mkdir()
    for size in range(ends[3], len(content) + 1):
        whole_groups = max(n for n, end in enumerate(ends) if end <= size)
        expected = (
            rows[whole_groups],
            content[: ends[whole_groups]],
            content[ends[whole_groups] : size],
            1,
        )
        assert recover_segment(folder, content[:size]) == expected, f"cut at byte {size}"


async def test_any_flipped_byte_keeps_the_groups_before(tmp_path: Path) -> None:
    """A flipped byte in the last groups keeps the groups before and sets the rest aside."""
    content, ends, rows = await write_six_groups(tmp_path / "j")
    folder = tmp_path / "flip"
    folder.mkdir()
    for offset in range(ends[3], len(content)):
        whole_groups = max(n for n, end in enumerate(ends) if end <= offset)
        for bits in (0x01, 0xFF):
            damaged_content = bytearray(content)
            damaged_content[offset] ^= bits
            whole_bytes, torn_bytes = (
                bytes(damaged_content[: ends[whole_groups]]),
                bytes(damaged_content[ends[whole_groups] :]),
            )
            expected = rows[whole_groups], whole_bytes, torn_bytes, 1
            assert recover_segment(folder, bytes(damaged_content)) == expected, (
                f"byte {offset} ^ {bits}"
            )


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\n" * 9, b'{"crc":0,"bytes":-1,"rows":-1}\n'])
async def test_garbage_tail_is_set_aside(tmp_path: Path, tail: bytes) -> None:
    """Bytes that a file system leaves after the last group, such as zeros, are no rows."""
    content, ends, rows = await write_six_groups(tmp_path / "j")
    folder = tmp_path / "garbage"
    folder.mkdir()
    assert recover_segment(folder, content + tail) == (rows[-1], content, tail, 1)
    assert recover_segment(folder, tail) == (0, b"", tail, 0)
    zeros = bytes(len(content) - ends[-2])
    whole_bytes = content[: ends[-2]]
    assert recover_segment(folder, whole_bytes + zeros) == (rows[-2], whole_bytes, zeros, 1)


@pytest.mark.parametrize("damage", ["header", "rows", "zeros"])
async def test_torn_segment_is_loaded_up_to_the_tear(tmp_path: Path, damage: str) -> None:
    """The engine gets the whole groups, and no row of the torn group."""
    folder = tmp_path / "data" / "journal" / "metrics"
    async with open_journal(folder) as log:
        await append(log, "a", "b")
        await append(log, "c", "d")
    (file,) = folder.glob("*.ndjson")
    content = file.read_bytes()
    start = content.rindex(b'{"crc"')
    cut = {"header": start + 9, "rows": len(content) - 20, "zeros": start}[damage]
    file.write_bytes(content[:cut] + bytes(4096 if damage == "zeros" else 0))
    async with open_store(tmp_path / "data") as store:
        assert await stored_keys(store) == ["a", "b"]
        await record(store, "e")
        assert await stored_keys(store) == ["a", "b", "e"]
    assert [f.name for f in folder.iterdir()] == [file.with_suffix(".torn").name]


async def test_failed_sync_refuses_exactly_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After EIO the rows that shared the sync get a 503, and are never stored."""
    sync = FailingSync(2)
    monkeypatch.setattr(_SYNC, sync)
    async with open_journal(tmp_path / "j") as log:
        await append(log, "good")
        results = await asyncio.gather(
            *(append(log, f"bad{n}") for n in range(5)), return_exceptions=True
        )
        for error in results:
            assert isinstance(error, AnalyticsError)
            assert (error.status, error.retry_after) == (503, 1)
            assert error.message == "The journal can't write: Input/output error."
        assert log.failure == "The journal can't write: Input/output error"
        assert recovered_keys(tmp_path / "j") == ["good"]
        await append(log, "after")
        assert log.failure is None
        assert recovered_keys(tmp_path / "j") == ["good", "after"]


async def test_full_disk_refuses_and_then_goes_on(tmp_path: Path) -> None:
    """A write that ends in its middle, at a file size limit, leaves no bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_journal(tmp_path / "j") as log:
        await append(log, "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.bytes + 70, hard))
        try:
            error = await refusal(lambda: append(log, *(f"full{n}" for n in range(200))))
            second_error = await refusal(lambda: append(log, *(f"again{n}" for n in range(200))))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (
            (error.status, error.retry_after)
            == (second_error.status, second_error.retry_after)
            == (503, 1)
        )
        assert recovered_keys(tmp_path / "j") == ["before"]
        await append(log, "after")
        assert recovered_keys(tmp_path / "j") == ["before", "after"]
    assert sum(f.stat().st_size for f in (tmp_path / "j").iterdir()) == log.bytes


async def test_segment_that_cant_begin_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a new segment's folder can't be synced, no file stays open."""

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with open_journal(tmp_path / "j") as log:
        await append(log, "before")
        await log.seal()
        with monkeypatch.context() as patch:
            patch.setattr(_SYNC_FOLDER, fail)
            for _ in range(5):
                assert (await refusal(lambda: append(log, "bad"))).status == 503
        assert not [name for name in open_files() if name.startswith(str(tmp_path))]
        assert [f.name for f in (tmp_path / "j").iterdir()] == [log.sealed_segments[0].path.name]
        await append(log, "after")
        assert recovered_keys(tmp_path / "j") == ["before", "after"]


async def test_lost_folder_is_refused_until_it_is_back(tmp_path: Path) -> None:
    """Without its folder the journal answers 503, and writes again when the folder is back."""
    async with open_journal(tmp_path / "j") as log:
        (tmp_path / "j").rmdir()
        assert (await refusal(lambda: append(log, "lost"))).status == 503
        (tmp_path / "j").mkdir()
        await append(log, "found")
        assert recovered_keys(tmp_path / "j") == ["found"]


async def test_refused_rows_that_cant_be_cut_off_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine never gets the rows of a failed write, even if the write can't be undone."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with open_store(tmp_path / "data") as store:
        await record(store, "good")
        with monkeypatch.context() as patch:
            patch.setattr(_SYNC, fail)
            patch.setattr("os.ftruncate", fail)
            assert (await refusal(lambda: record(store, "bad"))).status == 503
        assert await stored_keys(store) == ["good"]


async def test_full_journal_refuses_until_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over its byte cap the journal answers 503 with the cap; loading makes room again."""
    may_load = asyncio.Event()

    async def wait_and_load(_: Loader) -> None:
        await may_load.wait()

    monkeypatch.setattr(Loader, "_gather", wait_and_load)
    cap = 400
    async with open_store(tmp_path / "data", cap=cap) as store:
        await record(store, "a", "b")
        error = await refusal(lambda: record(store, "c", "d", "e"))
        assert (error.status, error.limit, error.retry_after) == (503, cap, 5)
        await record(store, "f")
        may_load.set()
        assert await stored_keys(store) == ["a", "b", "f"]
        await record(store, "c", "d", "e")
        assert await stored_keys(store) == ["a", "b", "f", "c", "d", "e"]
    assert stores.segment_contents(tmp_path / "data" / "journal" / "metrics") == {}


@pytest.mark.parametrize("seed", range(4))
async def test_any_mix_of_writes_failures_and_seals_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """After any order of writes, failures and seals, a restart finds the acknowledged rows only."""
    dice = random.Random(seed)
    monkeypatch.setattr("store.journal.journal.SEGMENT_ROWS", 40)
    monkeypatch.setattr(_SYNC, FailingSync(*dice.sample(range(1, 150), 40)))
    acknowledged_keys: set[str] = set()

    async def write(log: Journal, names: list[str]) -> None:
        await asyncio.sleep(dice.random() / 50)
        try:
            await append(log, *names)
        except AnalyticsError:
            return
        acknowledged_keys.update(names)

    async with open_journal(tmp_path / "j") as log:
        for turn in range(20):
            batches = [
                [f"{turn}-{n}-{i}" for i in range(dice.choice((1, 1, 1, 7)))] for n in range(15)
            ]
            await asyncio.gather(*(write(log, names) for names in batches))
            if dice.random() < 0.3:
                await log.seal()
            keys = recovered_keys(tmp_path / "j")
            assert len(keys) == len(set(keys))
            assert set(keys) == acknowledged_keys
