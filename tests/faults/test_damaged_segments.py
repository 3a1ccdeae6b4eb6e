"""Damaged segments: a start replays the whole groups and sets the other bytes aside.

`test_journal.py` tests every offset on the journal alone; here the service starts on the damage.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.harness.process import Process
from tests.harness.run_profile import LONG, print_figure, seeded_random
from tests.harness.stores import journal_lines, open_journal, open_store, stored_keys

GROUPS = (3, 1, 2, 1, 3, 2)
FIRST_DAMAGED_GROUP = 3  # the last three groups
BATCH_SEGMENTS = 300  # each becomes a part of the engine, which slows down from 1,000 parts on
NEW = {"metric_name": "m", "value": 1, "tags": {"k": "new"}}
ZEROS, GARBAGE = bytes(4096), b'\n\n{"crc":0,"bytes":-1,"rows":-1}\n\xff\x00'
TAILS = {"zeros": ZEROS, "garbage": GARBAGE, "a lying header": b'{"crc":0,"bytes":9,"rows":1}\n{}'}


@dataclass(frozen=True, slots=True)
class WrittenSegment:
    """A segment before its damage: its bytes, the borders of its groups, its keys."""

    path: Path
    content: bytes
    ends: list[int]
    keys: list[list[str]]

    def groups_before(self, offset: int) -> int:
        """Return the number of groups that end before an offset."""
        return max(n for n, end in enumerate(self.ends) if end <= offset)


@dataclass(frozen=True, slots=True)
class DamagedSegment:
    """The bytes of a segment after its damage, and the number of its whole groups."""

    original: WrittenSegment
    damage: str
    content: bytes
    groups: int

    def keys(self) -> list[str]:
        """List the keys that must be replayed."""
        return [key for group in self.original.keys[: self.groups] for key in group]


async def write_segments(folder: Path, number: int) -> list[WrittenSegment]:
    """Write segments of six groups."""
    segments = []
    async with open_journal(folder) as log:
        for n in range(number):
            ends, names = [0], []
            for group, size in enumerate(GROUPS):
                names.append([f"{n:04}-{group}-{i}" for i in range(size)])
                before = log.bytes
                await log.append(journal_lines(names[-1]), size)
                ends.append(ends[-1] + log.bytes - before)
            await log.seal()
            path = log.sealed_segments[-1].path
            segments.append(WrittenSegment(path, path.read_bytes(), ends, names))
    return segments


def cut(segment: WrittenSegment, offset: int) -> DamagedSegment:
    """Cut a segment at an offset."""
    return DamagedSegment(
        segment, f"cut at {offset}", segment.content[:offset], segment.groups_before(offset)
    )


def flip(segment: WrittenSegment, offset: int) -> DamagedSegment:
    """Flip one bit at an offset."""
    content = bytearray(segment.content)
    content[offset] ^= 0x01
    return DamagedSegment(
        segment, f"flipped at {offset}", bytes(content), segment.groups_before(offset)
    )


def zero(segment: WrittenSegment, offset: int) -> DamagedSegment:
    """Replace the bytes from an offset on by zeros."""
    content = segment.content[:offset].ljust(len(segment.content), b"\0")
    return DamagedSegment(segment, f"zeros from {offset}", content, segment.groups_before(offset))


async def test_damage_anywhere_in_the_last_groups_costs_no_other_group(tmp_path: Path) -> None:
    """A cut, a flipped bit, zeros or an odd tail cost only the groups that they touch."""
    dice = seeded_random()
    (sample,) = await write_segments(tmp_path / "sample", 1)
    offsets = range(sample.ends[FIRST_DAMAGED_GROUP], len(sample.content) - 8)
    cases = [(damage, offset) for damage in (cut, flip, zero) for offset in offsets]
    if not LONG:
        cases = dice.sample(cases, 40)
    for start in range(0, len(cases), BATCH_SEGMENTS):
        batch = cases[start : start + BATCH_SEGMENTS]
        data = tmp_path / f"data-{start}"
        segments = await write_segments(data / "journal" / "metrics", len(batch) + len(TAILS) + 1)
        damaged_segments = [damage(segments[n], offset) for n, (damage, offset) in enumerate(batch)]
        for tail, segment in zip(TAILS, segments[len(batch) :], strict=False):
            content = segment.content + TAILS[tail]
            damaged_segments.append(
                DamagedSegment(segment, f"a tail: {tail}", content, len(GROUPS))
            )
        for damaged_segment in damaged_segments:
            damaged_segment.original.path.write_bytes(damaged_segment.content)
        intact_segment = segments[-1]
        with Process(data) as service:
            seconds = service.await_ready()
            print_figure(f"{len(damaged_segments)} damaged segments: ready after {seconds:.2f} s")
            assert service.post("/metrics", NEW).status_code == 200
            service.kill()
        await assert_replayed(data, damaged_segments, intact_segment)


async def assert_replayed(
    data: Path, damaged_segments: list[DamagedSegment], intact_segment: WrittenSegment
) -> None:
    """Check that exactly the whole groups are stored, and every other byte is set aside."""
    async with open_store(data) as store:
        keys = Counter(await stored_keys(store))
    assert keys.pop("new") == 1
    by_segment: dict[str, list[str]] = {}
    for key in keys.elements():
        by_segment.setdefault(key[:4], []).append(key)
    for segment in damaged_segments:
        number = segment.original.keys[0][0][:4]
        assert sorted(by_segment.pop(number, [])) == sorted(segment.keys()), segment.damage
        expected = segment.content[segment.original.ends[segment.groups] :]
        set_aside_path = segment.original.path.with_suffix(".torn")
        assert (set_aside_path.read_bytes() if expected else b"") == expected, segment.damage
    (intact_keys,) = by_segment.values()
    assert sorted(intact_keys) == sorted(key for group in intact_segment.keys for key in group)


async def test_group_that_is_there_twice_is_replayed_once(tmp_path: Path) -> None:
    """A copy of a group, in its own or another segment, is not replayed again."""
    data = tmp_path / "data"
    first, second = await write_segments(data / "journal" / "metrics", 2)
    last = first.content[first.ends[-2] :]
    first.path.write_bytes(first.content + last)
    second.path.write_bytes(second.content + last)
    async with open_store(data) as store:
        key_counts = Counter(await stored_keys(store))
    assert set(key_counts) == {
        key for segment in (first, second) for group in segment.keys for key in group
    }
    assert set(key_counts.values()) == {1}
