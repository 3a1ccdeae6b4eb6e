"""Damaged segments: a start replays what is whole, sets the rest aside, and half-applies nothing.

`test_journal.py` has every offset for the journal alone; here the service starts on them.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.harness.process import Process
from tests.harness.run_profile import LONG, print_figure, seeded_random
from tests.harness.stores import journal_lines, open_journal, open_store, stored_keys

GROUPS = (3, 1, 2, 1, 3, 2)
SPOILED_FROM = 3  # the last three groups
AT_ONCE = 300  # each is a part of the engine's, and it slows down from 1,000 on
NEW = {"metric_name": "m", "value": 1, "tags": {"k": "new"}}
ZEROS, GARBAGE = bytes(4096), b'\n\n{"crc":0,"bytes":-1,"rows":-1}\n\xff\x00'
TAILS = {"zeros": ZEROS, "garbage": GARBAGE, "a lying header": b'{"crc":0,"bytes":9,"rows":1}\n{}'}


@dataclass(frozen=True, slots=True)
class Whole:
    """A segment as it was written: its bytes, where each group begins and ends, its keys."""

    path: Path
    content: bytes
    ends: list[int]
    keys: list[list[str]]

    def before(self, offset: int) -> int:
        """Return how many groups end before a byte."""
        return max(n for n, end in enumerate(self.ends) if end <= offset)


@dataclass(frozen=True, slots=True)
class Damaged:
    """What is left of a segment, and how many of its groups are whole."""

    whole: Whole
    how: str
    content: bytes
    groups: int

    def keys(self) -> list[str]:
        """List the keys that must be replayed."""
        return [key for group in self.whole.keys[: self.groups] for key in group]


async def write_segments(folder: Path, number: int) -> list[Whole]:
    """Write segments of six groups."""
    written = []
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
            written.append(Whole(path, path.read_bytes(), ends, names))
    return written


def cut(segment: Whole, offset: int) -> Damaged:
    """Leave the first bytes."""
    return Damaged(segment, f"cut at {offset}", segment.content[:offset], segment.before(offset))


def flip(segment: Whole, offset: int) -> Damaged:
    """Spoil one byte."""
    content = bytearray(segment.content)
    content[offset] ^= 0x01
    return Damaged(segment, f"flipped at {offset}", bytes(content), segment.before(offset))


def zero(segment: Whole, offset: int) -> Damaged:
    """Leave the first bytes, and zeros in the place of the others."""
    content = segment.content[:offset].ljust(len(segment.content), b"\0")
    return Damaged(segment, f"zeros from {offset}", content, segment.before(offset))


async def test_damage_anywhere_in_the_last_groups_costs_no_other_group(tmp_path: Path) -> None:
    """Cut, flipped, zeroed at every offset (a few in the short form), and with odd tails."""
    dice = seeded_random()
    (sample,) = await write_segments(tmp_path / "sample", 1)
    offsets = range(sample.ends[SPOILED_FROM], len(sample.content) - 8)
    chosen = [(way, at) for way in (cut, flip, zero) for at in offsets]
    if not LONG:
        chosen = dice.sample(chosen, 40)
    for start in range(0, len(chosen), AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        data = tmp_path / f"data-{start}"
        segments = await write_segments(data / "journal" / "metrics", len(some) + len(TAILS) + 1)
        damaged = [way(segments[n], at) for n, (way, at) in enumerate(some)]
        for tail, segment in zip(TAILS, segments[len(some) :], strict=False):
            content = segment.content + TAILS[tail]
            damaged.append(Damaged(segment, f"a tail: {tail}", content, len(GROUPS)))
        for one in damaged:
            one.whole.path.write_bytes(one.content)
        untouched = segments[-1]
        with Process(data) as service:
            seconds = service.await_ready()
            print_figure(f"{len(damaged)} damaged segments: ready after {seconds:.2f} s")
            assert service.post("/metrics", NEW).status_code == 200
            service.kill()
        await assert_replayed(data, damaged, untouched)


async def assert_replayed(data: Path, damaged: list[Damaged], untouched: Whole) -> None:
    """Exactly the whole groups of each segment are stored, and every other byte is set aside."""
    async with open_store(data) as store:
        found = Counter(await stored_keys(store))
    assert found.pop("new") == 1
    by_segment: dict[str, list[str]] = {}
    for key in found.elements():
        by_segment.setdefault(key[:4], []).append(key)
    for one in damaged:
        number = one.whole.keys[0][0][:4]
        assert sorted(by_segment.pop(number, [])) == sorted(one.keys()), one.how
        aside = one.content[one.whole.ends[one.groups] :]
        torn = one.whole.path.with_suffix(".torn")
        assert (torn.read_bytes() if aside else b"") == aside, one.how
    (rest,) = by_segment.values()
    assert sorted(rest) == sorted(key for group in untouched.keys for key in group)


async def test_group_that_is_there_twice_is_replayed_once(tmp_path: Path) -> None:
    """A group behind itself, or behind another segment's, is whole and yet was never written so."""
    data = tmp_path / "data"
    first, second = await write_segments(data / "journal" / "metrics", 2)
    last = first.content[first.ends[-2] :]
    first.path.write_bytes(first.content + last)
    second.path.write_bytes(second.content + last)
    async with open_store(data) as store:
        found = Counter(await stored_keys(store))
    assert set(found) == {key for one in (first, second) for group in one.keys for key in group}
    assert set(found.values()) == {1}
