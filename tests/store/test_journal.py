"""The journal alone: what it acknowledges is on the disk, what it refuses is nowhere."""

import asyncio
import contextlib
import errno
import os
import random
import resource
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from schema.errors import AnalyticsError
from store.journal.journal import Journal
from store.journal.row_ids import BatchNumbers, Position
from store.loader import Loader
from tests.harness import stores
from tests.harness.fault_injection import FailingSync
from tests.harness.stores import journal_lines, open_journal, open_store, record, stored_keys

_SYNC = "store.journal.journal._sync_data"
_SYNC_FOLDER = "store.journal.journal.sync_folder"


class HeldSync:
    """Stands in front of fdatasync: lets each call through when the test says so."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)

    def __call__(self, fd: int) -> None:
        self.sizes.append(os.fstat(fd).st_size)
        self.entered.release()
        assert self.allowed.acquire(timeout=30)
        os.fdatasync(fd)

    async def reached(self) -> None:
        """Return when the next call waits."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=30)


async def append(to: Journal, *names: str) -> Position:
    return await to.append(journal_lines(names), len(names))


async def refusal(call: Callable[[], Awaitable[Position]]) -> AnalyticsError:
    """Return the error of an append that must be refused."""
    with pytest.raises(AnalyticsError) as caught:
        await call()
    return caught.value


def kept(folder: Path) -> list[str]:
    """List the keys in a copy of a journal as a process that starts after a crash finds them."""
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("probe*"))  # they come and go
    Journal(copy, BatchNumbers(folder.parent / "node"), 2**30).recover()
    found = []
    for file in sorted(copy.glob("*.ndjson")):
        rows = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
        found += [row["tags"]["k"] for row in rows if "tags" in row]
    return found


def open_files() -> list[str]:
    """List the files that this process has open."""
    found = []
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            found.append(str(descriptor.readlink()))
    return found


async def test_append_answers_only_when_its_rows_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the rows are written but not yet synced, nothing is acknowledged."""
    sync = HeldSync()
    monkeypatch.setattr(_SYNC, sync)
    async with open_journal(tmp_path / "j") as log:
        answer = asyncio.create_task(append(log, "a"))
        await sync.reached()
        await asyncio.wait([answer], timeout=0.05)
        assert not answer.done()
        assert sync.sizes == [sum(f.stat().st_size for f in (tmp_path / "j").glob("*.ndjson"))]
        sync.allowed.release()
        assert (await answer).row == 1
        assert kept(tmp_path / "j") == ["a"]


async def test_all_that_wait_share_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred appends during one fdatasync cost one more, and keep their order."""
    sync = HeldSync()
    monkeypatch.setattr(_SYNC, sync)
    async with open_journal(tmp_path / "j") as log:
        first = asyncio.create_task(append(log, "first"))
        await sync.reached()
        rest = [asyncio.create_task(append(log, f"{n}", f"{n}+")) for n in range(100)]
        await asyncio.sleep(0)
        sync.allowed.release(2)
        positions = [await first, *await asyncio.gather(*rest)]
        assert len(sync.sizes) == 2
        # a header is a line as well: one before each group
        assert [p.row for p in positions] == [1, *range(3, 203, 2)]
        assert len({p.batch for p in positions}) == 1


async def test_positions_are_the_rows_of_the_engine(tmp_path: Path) -> None:
    """An acknowledged position, and so the id made of it, is the stored row's for ever."""
    async with open_store(tmp_path / "data") as store:
        sizes = [1, 2, 500, 1, 30]
        names = [[f"{n}-{i}" for i in range(size)] for n, size in enumerate(sizes)]
        given = await asyncio.gather(*(record(store, *batch) for batch in names))
        given.append(await record(store, "later"))
        names.append(["later"])
        found = {row.key: (row.batch, row.row) for row in await stores.stored_rows(store)}
    expected = {
        key: (position.batch, position.row + i)
        for batch, position in zip(names, given, strict=True)
        for i, key in enumerate(batch)
    }
    assert found == expected


@pytest.mark.parametrize(("limit", "value"), [("SEGMENT_ROWS", 10), ("SEGMENT_BYTES", 1000)])
async def test_full_segment_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """A segment that has reached its rows or bytes is closed, and the next one has a new number."""
    monkeypatch.setattr(f"store.journal.journal.{limit}", value)
    async with open_journal(tmp_path / "j") as log:
        for n in range(40):
            await append(log, f"{n:02}")
        sealed = log.sealed_segments
        files = sorted((tmp_path / "j").glob("*.ndjson"))
        assert [s.path for s in sealed] == files[: len(sealed)] != []
        assert [s.bytes for s in sealed] == [s.path.stat().st_size for s in sealed]
        if limit == "SEGMENT_ROWS":
            assert [s.rows for s in sealed] == [10, 10, 10, 10]
        else:
            for segment in sealed:  # headers differ in length: a checksum is a number
                last_group = sum(map(len, segment.path.read_bytes().splitlines(keepends=True)[-2:]))
                assert segment.bytes - last_group < value <= segment.bytes
        assert len({s.batch for s in sealed}) == len(sealed)
        assert kept(tmp_path / "j") == [f"{n:02}" for n in range(40)]


def content_of(folder: Path) -> bytes:
    """Return the bytes of the only segment in a folder."""
    (file,) = folder.glob("*.ndjson")
    return file.read_bytes()


async def six_groups(folder: Path) -> tuple[bytes, list[int], list[int]]:
    """Write a segment of six groups; return its bytes, and bytes and rows before each group."""
    ends, rows = [0], [0]
    async with open_journal(folder) as log:
        for n, size in enumerate((3, 1, 2, 1, 3, 2)):
            await append(log, *(f"{n}{i}" for i in range(size)))
            ends.append(len(content_of(folder)))
            rows.append(rows[-1] + size)
    return content_of(folder), ends, rows


def recovered(folder: Path, content: bytes) -> tuple[int, bytes, bytes, int]:
    """Recover a journal with the segment in `j`, so changed: rows, bytes kept, set aside, count."""
    (origin,) = (folder.parent / "j").glob("*.ndjson")
    path = folder / origin.name
    torn = path.with_suffix(".torn")
    torn.unlink(missing_ok=True)
    path.write_bytes(content)
    log = Journal(folder, BatchNumbers(folder.parent / "node"), 2**30)
    reports = log.recover()
    left = path.read_bytes() if path.exists() else b""
    assert sum(s.bytes for s in log.sealed_segments) == len(left) == log.bytes
    aside = torn.read_bytes() if torn.exists() else b""
    assert bool(reports) == bool(aside)
    return sum(s.rows for s in log.sealed_segments), left, aside, len(log.sealed_segments)


async def test_any_cut_keeps_the_whole_groups(tmp_path: Path) -> None:
    """Cut at every byte of the last three groups: what is whole stays, the rest is set aside."""
    content, ends, rows = await six_groups(tmp_path / "j")
    folder = tmp_path / "cut"
    folder.mkdir()
    for size in range(ends[3], len(content) + 1):
        whole = max(n for n, end in enumerate(ends) if end <= size)
        expected = rows[whole], content[: ends[whole]], content[ends[whole] : size], 1
        assert recovered(folder, content[:size]) == expected, f"cut at byte {size}"


async def test_any_flipped_byte_keeps_the_groups_before(tmp_path: Path) -> None:
    """Spoil every byte of the last three groups: the groups before stay, the rest is set aside."""
    content, ends, rows = await six_groups(tmp_path / "j")
    folder = tmp_path / "flip"
    folder.mkdir()
    for at in range(ends[3], len(content)):
        whole = max(n for n, end in enumerate(ends) if end <= at)
        for bits in (0x01, 0xFF):
            spoiled = bytearray(content)
            spoiled[at] ^= bits
            kept_part, aside = bytes(spoiled[: ends[whole]]), bytes(spoiled[ends[whole] :])
            expected = rows[whole], kept_part, aside, 1
            assert recovered(folder, bytes(spoiled)) == expected, f"byte {at} ^ {bits}"


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\n" * 9, b'{"crc":0,"bytes":-1,"rows":-1}\n'])
async def test_garbage_tail_is_set_aside(tmp_path: Path, tail: bytes) -> None:
    """What a file system leaves behind the last group (zeros, say) is not taken for rows."""
    content, ends, rows = await six_groups(tmp_path / "j")
    folder = tmp_path / "garbage"
    folder.mkdir()
    assert recovered(folder, content + tail) == (rows[-1], content, tail, 1)
    assert recovered(folder, tail) == (0, b"", tail, 0)
    zeros = bytes(len(content) - ends[-2])
    whole = content[: ends[-2]]
    assert recovered(folder, whole + zeros) == (rows[-2], whole, zeros, 1)


@pytest.mark.parametrize("damage", ["header", "rows", "zeros"])
async def test_torn_segment_is_loaded_up_to_the_tear(tmp_path: Path, damage: str) -> None:
    """The engine gets the whole groups, and no row of the torn one."""
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
    """EIO: 503 for the rows that shared the sync, and none of them ever comes back."""
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
        assert kept(tmp_path / "j") == ["good"]
        await append(log, "after")
        assert log.failure is None
        assert kept(tmp_path / "j") == ["good", "after"]


async def test_full_disk_refuses_and_then_goes_on(tmp_path: Path) -> None:
    """A write that ends in its middle (a file size limit, like a full disk) leaves no trace."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_journal(tmp_path / "j") as log:
        await append(log, "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.bytes + 70, hard))
        try:
            error = await refusal(lambda: append(log, *(f"full{n}" for n in range(200))))
            again = await refusal(lambda: append(log, *(f"again{n}" for n in range(200))))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (error.status, error.retry_after) == (again.status, again.retry_after) == (503, 1)
        assert kept(tmp_path / "j") == ["before"]
        await append(log, "after")
        assert kept(tmp_path / "j") == ["before", "after"]
    assert sum(f.stat().st_size for f in (tmp_path / "j").iterdir()) == log.bytes


async def test_segment_that_cant_begin_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a new file's folder can't be synced, nothing stays open, at any try."""

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with open_journal(tmp_path / "j") as log:
        await append(log, "before")
        await log.seal()
        with monkeypatch.context() as patched:
            patched.setattr(_SYNC_FOLDER, fail)
            for _ in range(5):
                assert (await refusal(lambda: append(log, "bad"))).status == 503
        assert not [name for name in open_files() if name.startswith(str(tmp_path))]
        assert [f.name for f in (tmp_path / "j").iterdir()] == [log.sealed_segments[0].path.name]
        await append(log, "after")
        assert kept(tmp_path / "j") == ["before", "after"]


async def test_lost_folder_is_refused_until_it_is_back(tmp_path: Path) -> None:
    """Without its folder the journal answers 503; when it is back, so is the journal."""
    async with open_journal(tmp_path / "j") as log:
        (tmp_path / "j").rmdir()
        assert (await refusal(lambda: append(log, "lost"))).status == 503
        (tmp_path / "j").mkdir()
        await append(log, "found")
        assert kept(tmp_path / "j") == ["found"]


async def test_refused_rows_that_cant_be_cut_off_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when a failed write can't be undone at once, the engine never gets its rows."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with open_store(tmp_path / "data") as store:
        await record(store, "good")
        with monkeypatch.context() as patched:
            patched.setattr(_SYNC, fail)
            patched.setattr("os.ftruncate", fail)
            assert (await refusal(lambda: record(store, "bad"))).status == 503
        assert await stored_keys(store) == ["good"]


async def test_full_journal_refuses_until_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its byte cap the journal answers 503 and names the cap; loading makes room again."""
    holding = asyncio.Event()

    async def hold(_: Loader) -> None:
        await holding.wait()

    monkeypatch.setattr(Loader, "_gather", hold)
    cap = 400
    async with open_store(tmp_path / "data", cap=cap) as store:
        await record(store, "a", "b")
        error = await refusal(lambda: record(store, "c", "d", "e"))
        assert (error.status, error.limit, error.retry_after) == (503, cap, 5)
        await record(store, "f")
        holding.set()
        assert await stored_keys(store) == ["a", "b", "f"]
        await record(store, "c", "d", "e")
        assert await stored_keys(store) == ["a", "b", "f", "c", "d", "e"]
    assert stores.segment_contents(tmp_path / "data" / "journal" / "metrics") == {}


@pytest.mark.parametrize("seed", range(4))
async def test_any_mix_of_writes_failures_and_seals_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whatever happens in whatever order, a restart finds the acknowledged rows and no others."""
    dice = random.Random(seed)
    monkeypatch.setattr("store.journal.journal.SEGMENT_ROWS", 40)
    monkeypatch.setattr(_SYNC, FailingSync(*dice.sample(range(1, 150), 40)))
    acknowledged: set[str] = set()

    async def write(log: Journal, names: list[str]) -> None:
        await asyncio.sleep(dice.random() / 50)
        try:
            await append(log, *names)
        except AnalyticsError:
            return
        acknowledged.update(names)

    async with open_journal(tmp_path / "j") as log:
        for turn in range(20):
            batches = [
                [f"{turn}-{n}-{i}" for i in range(dice.choice((1, 1, 1, 7)))] for n in range(15)
            ]
            await asyncio.gather(*(write(log, names) for names in batches))
            if dice.random() < 0.3:
                await log.seal()
            found = kept(tmp_path / "j")
            assert len(found) == len(set(found))
            assert set(found) == acknowledged
