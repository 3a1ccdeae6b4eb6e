"""Dashboards as files: commands that export and import, and a folder that is read at the start."""

import json
from pathlib import Path
from typing import Any

import pytest

import dashboard_commands
from store.access.registry import RegistryFile, add_project
from store.clock import wall_ms
from tests.harness.dashboards import COUNT, SAVE, content, panel
from tests.harness.process import Process

LIST = "{dashboards {nodes {slug title versionNumber isReadOnly problems {field}}}}"


def run(capfd: pytest.CaptureFixture[str], data: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, its output and its message."""
    code = dashboard_commands.main(["dashboards", *arguments, "--data", str(data)])
    output, message = capfd.readouterr()
    return code, output, message


def write(folder: Path, name: str, source: object) -> str:
    """Write a file of a dashboard; return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(source if isinstance(source, str) else json.dumps(source))
    return str(path)


def nodes(process: Process, **headers: str) -> list[dict[str, Any]]:
    """Return the dashboards of a running service."""
    answer = process.http.post("/graphql", json={"query": LIST}, headers=headers).json()
    entries: list[dict[str, Any]] = answer["data"]["dashboards"]["nodes"]
    return entries


def test_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is exports is imported elsewhere, byte for byte; an import is a new version."""
    data, copy, files = tmp_path / "data", tmp_path / "copy", tmp_path / "files"
    first = write(files, "shop.json", content("Shop", panel()))
    second = write(files, "b.json", content("B", panel(), slug="with-slug"))
    assert run(capfd, data, "import", first, second)[0] == 0
    assert run(capfd, data, "import", first)[0] == 0
    code, output, _ = run(capfd, data, "list")
    rows = [line.split() for line in output.splitlines()[1:]]
    assert (code, [(row[0], row[1], row[-1]) for row in rows]) == (
        0,
        [("shop", "2", "valid"), ("with-slug", "1", "valid")],
    )
    assert run(capfd, data, "export", str(tmp_path / "a"))[0] == 0
    exports = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert exports.keys() == {"shop.json", "with-slug.json"}
    assert run(capfd, copy, "import", *(str(tmp_path / "a" / name) for name in exports))[0] == 0
    assert run(capfd, copy, "export", str(tmp_path / "b"), "--slug", "shop")[0] == 0
    assert (tmp_path / "b" / "shop.json").read_bytes() == exports["shop.json"]
    assert run(capfd, data, "remove", "shop")[0] == 0
    assert "shop" not in run(capfd, data, "list")[1].split()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{", "is no JSON object"),
        ("[1]", "is no JSON object"),
        ("[" * 100_000, "is no JSON object"),
        ({"title": "a", "panels": [panel("{nope}")]}, "panels[0].document: Cannot query"),
        ({"title": "a", "colour": 1}, "source.colour"),
        ({"titel": "a"}, "source"),
        (" " * 3_000_000, "has more than"),
    ],
)
def test_a_wrong_file_imports_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], source: object, words: str
) -> None:
    """A file that is not valid is refused in one line, and no file beside it is saved."""
    good = write(tmp_path, "good.json", content("Good"))
    code, _, message = run(capfd, tmp_path, "import", good, write(tmp_path, "bad.json", source))
    assert (code, message.count("\n")) == (2, 1)
    assert "bad.json" in message
    assert words in message
    assert run(capfd, tmp_path, "list")[1].count("\n") == 1


def test_wrong_commands(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An unknown slug, project or file is one line and the exit code 2."""
    for arguments in (
        ("remove", "nobody"),
        ("export", str(tmp_path), "--slug", "nobody"),
        ("import", str(tmp_path / "nobody.json")),
        ("list", "--project", "nobody"),
    ):
        code, _, message = run(capfd, tmp_path, *arguments)
        assert (code, message.count("\n")) == (2, 1)


def test_a_running_service_follows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An import counts at once, in its project; an upgrade's invalid panels are logged."""
    data = tmp_path / "data"
    file = write(tmp_path, "shop.json", content("Shop", panel()))
    with RegistryFile(data).change() as registry:
        add_project(registry, "apart", wall_ms())
    with Process(data) as process:
        process.await_ready()
        assert nodes(process) == []
        assert run(capfd, data, "import", file)[0] == 0
        assert [node["versionNumber"] for node in nodes(process)] == [1]
        assert run(capfd, data, "import", file)[0] == 0
        assert [node["versionNumber"] for node in nodes(process)] == [2]
        assert run(capfd, data, "import", file, "--project", "apart")[0] == 0
        assert run(capfd, data, "remove", "shop")[0] == 0
        assert nodes(process) == []
        apart = {"analytics-project": "apart"}
        assert [node["versionNumber"] for node in nodes(process, **apart)] == [1]
        assert process.stop() == 0
    (path,) = (data / "dashboards" / "apart").glob("*/1.json")
    path.write_text(path.read_text().replace("eventTrend", "removedField"))
    with Process(data) as process:
        process.await_ready()
        process.await_output("dashboards have panels that are no longer valid")
        (line,) = [record for record in process.log_records() if "dashboards" in record]
        assert (line["level"], line["count"]) == ("warning", 1)
        assert line["dashboards"][0].startswith("apart/shop: panels[0].document: Cannot query")
        assert nodes(process, **apart)[0]["problems"] == [{"field": "panels[0].document"}]


def test_a_folder_is_read_at_the_start(tmp_path: Path) -> None:
    """Files of the folder are dashboards that nobody changes; a wrong one is a line of the log."""
    data, folder = tmp_path / "data", tmp_path / "mounted"
    with RegistryFile(data).change() as registry:
        add_project(registry, "apart", wall_ms())
    write(folder, "shop.json", content("Shop", panel()))
    write(folder, "a.json", content("Apart", panel(), project="apart"))
    write(folder, "old.json", content("Old", panel("{removedField}"), panel()))
    write(folder, "wrong.json", "{")
    write(folder, "same.json", content("Same", slug="shop"))
    write(folder, "far.json", content("Far", project="nobody"))
    write(folder, ".hidden.json", "{")
    (folder / "folder.json").mkdir()
    with Process(data, settings={"ANALYTICS_DASHBOARDS": str(folder)}) as process:
        process.await_ready()
        entries = {node["slug"]: node for node in nodes(process)}
        assert entries.keys() == {"shop", "old"}
        assert all(node["isReadOnly"] for node in entries.values())
        assert entries["old"]["problems"] == [{"field": "panels[0].document"}]
        apart = nodes(process, **{"analytics-project": "apart"})
        assert [node["slug"] for node in apart] == ["a"]
        lines = [
            record["message"]
            for record in process.log_records()
            if "a file of dashboards is left out" in record.get("message", "")
        ]
        assert sorted(line.split(": ")[1] for line in lines) == [
            *("far.json", "shop.json", "wrong.json"),
        ]
        query = '{dashboard(slug: "old") {id source data {key data errors {code}}}}'
        old = process.graphql(query)["dashboard"]
        assert [bool(entry["errors"]) for entry in old["data"]] == [True, False]
        delete = f'mutation {{deleteDashboard(input: {{id: "{old["id"]}"}}) {{id}}}}'
        for body in (
            {"query": delete},
            {
                "query": SAVE,
                "variables": {"input": {"id": old["id"], "version": 1, "dashboard": content("x")}},
            },
        ):
            (error,) = process.post("/graphql", body).json()["errors"]
            assert "read-only" in error["message"]
        same_slug = {"input": {"dashboard": content("x", slug="shop")}}
        (error,) = process.post("/graphql", {"query": SAVE, "variables": same_slug}).json()[
            "errors"
        ]
        assert error["extensions"]["field"] == "slug"
        second = {"input": {"dashboard": content("Shop", panel(COUNT))}}
        answer = process.post("/graphql", {"query": SAVE, "variables": second}).json()
        assert answer["data"]["saveDashboard"]["dashboard"]["slug"] == "shop-2"


def test_a_missing_folder_does_not_stop_the_start(tmp_path: Path) -> None:
    """A folder that is not there is a line of the log."""
    settings = {"ANALYTICS_DASHBOARDS": str(tmp_path / "nobody")}
    with Process(tmp_path / "data", settings=settings) as process:
        process.await_ready()
        process.await_output("is no folder")
