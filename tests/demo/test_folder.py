"""The folder of the demo: data are used again while they are recent; other data are safe."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

import demo_command
from demo.folder import DemoFolder, Progress, UnusableFolderError, begin_step
from demo.places import MS_PER_DAY
from store.folder_lock import FolderLock

NOW: Final = 1_795_873_579_335
SEED: Final = 11


def make_demo(folder: Path) -> Progress:
    """Make a demo with some data, whose history is recorded."""
    progress = DemoFolder(folder).open(SEED, NOW)
    (folder / "store").mkdir()
    (folder / "store" / "part").write_text("data")
    progress = begin_step(progress, NOW + 5_000)
    DemoFolder(folder).write(progress)
    return progress


def test_new_folder_begins_with_the_whole_history(tmp_path: Path) -> None:
    """A new demo has nothing recorded, and its history ends now."""
    progress = DemoFolder(tmp_path / "a" / "demo").open(SEED, NOW)
    assert progress.target_ms == progress.end_ms == NOW
    assert progress.recorded_ms < NOW - 30 * MS_PER_DAY


def test_recent_data_are_used_again(tmp_path: Path) -> None:
    """Within two days the data stay, and recording continues where it stopped."""
    progress = make_demo(tmp_path)
    assert DemoFolder(tmp_path).open(SEED, NOW + 2 * MS_PER_DAY - 1) == progress
    assert (tmp_path / "store" / "part").exists()


@pytest.mark.parametrize(
    ("seed", "now_ms"),
    [(SEED, NOW + 2 * MS_PER_DAY), (SEED, NOW - MS_PER_DAY), (SEED + 1, NOW + 9_000)],
    ids=["old", "clock set back", "another seed"],
)
def test_old_data_are_made_anew(tmp_path: Path, seed: int, now_ms: int) -> None:
    """Data that are too old, of the future or of another shop are deleted."""
    make_demo(tmp_path)
    assert DemoFolder(tmp_path).open(seed, now_ms).end_ms == now_ms
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"format": 0}', '{"format": 1, "x": 2}'])
def test_unreadable_note_makes_the_data_anew(tmp_path: Path, note: str) -> None:
    """A note that is torn, or of another version, counts as old data."""
    make_demo(tmp_path)
    (tmp_path / "demo.json").write_text(note)
    assert DemoFolder(tmp_path).open(SEED, NOW + 7_000).end_ms == NOW + 7_000
    assert not (tmp_path / "store").exists()


def test_folder_with_other_data_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without the note of a demo stays as it is; the command ends with code 2."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "file").write_text("precious")
    code = demo_command.main(["--data", str(tmp_path)], lambda _, __: 0)
    assert code == 2
    assert f"{tmp_path} has data that are not of a demo" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "journal"]


def test_folder_in_use_is_not_emptied(tmp_path: Path) -> None:
    """Old data that another service serves are not deleted."""
    make_demo(tmp_path)
    lock = FolderLock(tmp_path)
    with pytest.raises(UnusableFolderError, match="in use by process"):
        DemoFolder(tmp_path).open(SEED, NOW + 9 * MS_PER_DAY)
    lock.release(is_closed=True)
    assert (tmp_path / "store" / "part").exists()


def test_steps_leave_no_gap(tmp_path: Path) -> None:
    """A step begins where the step before ended, also if its end was never written."""
    progress = make_demo(tmp_path)
    assert (progress.recorded_ms, progress.target_ms) == (NOW, NOW + 5_000)
    note = json.loads((tmp_path / "demo.json").read_text())
    assert note.pop("format") == 1
    assert Progress(**note) == progress


def test_service_gets_the_data_of_the_demo_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options of the service override a data folder or a store of the environment."""
    monkeypatch.setenv("ANALYTICS_DATA", "elsewhere")
    monkeypatch.setenv("ANALYTICS_STORE", "chdb:///elsewhere")
    calls: list[Sequence[str]] = []

    def serve(options: Sequence[str], _: Callable[[], None]) -> int:
        calls.append(options)
        return 7

    data = tmp_path / "demo"
    assert demo_command.main(["--data", str(data)], serve) == 7
    assert calls[0][:6] == ["--data", str(data), "--store", "chdb://", "--env", "development"]
