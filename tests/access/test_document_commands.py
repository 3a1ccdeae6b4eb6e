"""The commands of trusted documents, on a stopped and a running service, and its next start."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

import document_commands
from store.access.documents import DocumentsFile, TrustedDocument, document_hash
from store.access.registry import RegistryFile, add_project
from store.clock import wall_ms
from tests.harness.named_documents import hash_of
from tests.harness.process import Process

TEXT: Final = "query Dashboard {health {status}}\n"
OK: Final = {"data": {"health": {"status": "OK"}}}
APOLLO: Final[dict[str, Any]] = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": document_hash(text), "name": "A", "type": "query", "body": text}
        for text in ("query A {health {status}}", "query A {health {service}}")
    ],
}
RELAY: Final = {
    "0123456789abcdef0123456789abcdef": "query R {health {status}}",
    "Custom": "{health {status}}",
}


def run(
    capfd: pytest.CaptureFixture[str], data: Path, *arguments: str
) -> tuple[int, str, list[str]]:
    """Run a command; return its exit code, its output, and the lines of its messages."""
    code = document_commands.main(["documents", *arguments, "--data", str(data)])
    output = capfd.readouterr()
    return code, output.out, output.err.splitlines()


def write(folder: Path, name: str, content: Any) -> str:
    """Write a file: a text as it is, anything else as JSON; return its path."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_all_formats(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`add` takes documents and both kinds of manifests; `list` shows them, `remove` one."""
    data = tmp_path / "data"
    files = [
        write(tmp_path, "Dashboard.graphql", TEXT),
        write(tmp_path, "Second.gql", TEXT),
        write(tmp_path, "apollo.json", APOLLO),
        write(tmp_path, "relay.json", RELAY),
    ]
    code, output, messages = run(capfd, data, "add", *files)
    assert (code, output) == (0, "")
    assert messages == ["analytics-service: saved 6 documents in the project default"]
    assert run(capfd, data, "add", *files)[0] == 0  # once more changes nothing
    _, table, _ = run(capfd, data, "list")
    assert table.splitlines()[0].split() == ["ID", "SAVED", "BYTES", "STATE"]
    ids = [line.split()[0] for line in table.splitlines()[1:]]
    assert ids == [
        *("Dashboard", "Second", *(entry["id"] for entry in APOLLO["operations"]), *RELAY),
    ]
    lines = [json.loads(line) for line in run(capfd, data, "list", "--json")[1].splitlines()]
    assert [line["id"] for line in lines] == ids
    assert (lines[0]["text"], lines[0]["error"]) == (TEXT, None)
    assert run(capfd, data, "remove", "Custom")[2] == ["analytics-service: removed Custom"]
    assert "Custom" not in run(capfd, data, "list")[1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Wrong.graphql", "{nope}", "'Wrong': Cannot query field 'nope'"),
        ("Bad name.graphql", TEXT, "'Bad name' must have letters"),
        ("large.graphql", "{health {status}}" + "#" * 100_000, "documentBytes"),
        ("a.json", "{", "no manifest of Apollo"),
        ("a.json", [], "no manifest of Apollo"),
        ("a.json", {"a": 1}, "no manifest of Apollo"),
        ("a.json", {"a": {"b": "c"}}, "no manifest of Apollo"),
        ("a.json", APOLLO | {"version": 2}, "its version must be 1"),
        ("a.json", {"format": APOLLO["format"], "version": 1}, "no manifest of Apollo"),
        ("a.json", {f"sha256:{'0' * 64}": TEXT}, "is not the SHA-256"),
    ],
)
def test_wrong_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: Any, words: str
) -> None:
    """A wrong file is one line that says what is wrong, exit code 2, and saves nothing."""
    good = write(tmp_path, "Good.graphql", TEXT)
    code, output, messages = run(capfd, tmp_path, "add", good, write(tmp_path, name, content))
    assert (code, output, len(messages)) == (2, "", 1)
    assert words in messages[0]
    assert DocumentsFile(tmp_path).read().documents == []


def test_other_wrong_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Unknown files, documents and projects are one line, exit code 2; a damaged file is 3."""
    (tmp_path / "latin.graphql").write_bytes(b"\xe9")
    for arguments, words in (
        (("add", str(tmp_path / "none.graphql")), "can't be read (No such file"),
        (("add", str(tmp_path / "latin.graphql")), "is not UTF-8"),
        (("remove", "nobody"), "There is no such document."),
        (("list", "--project", "nobody"), "there is no such project"),
    ):
        code, _, messages = run(capfd, tmp_path, *arguments)
        assert (code, len(messages)) == (2, 1)
        assert words in messages[0]
    (tmp_path / "documents.json").write_text("{")
    code, _, messages = run(capfd, tmp_path, "list")
    assert (code, len(messages)) == (3, 1)
    assert "is damaged" in messages[0]
    with Process(tmp_path) as process:
        assert process.wait() == 3
        messages = [line["message"] for line in process.log_records()]
        assert any("documents.json is damaged" in message for message in messages)


def test_a_running_service_and_its_restart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Commands count at once, in their project, and outlive a restart; automatic ones do not.

    A document that is no longer valid is logged and refused; the start goes on.
    """
    data = tmp_path / "data"
    with Process(data) as process:
        process.await_ready()
        with RegistryFile(data).change() as registry:
            add_project(registry, "shop", wall_ms())
        file = write(tmp_path, "Dashboard.graphql", TEXT)
        assert process.post("/graphql", {"documentId": "Dashboard"}).status_code == 404
        assert run(capfd, data, "add", file, "--project", "shop")[0] == 0
        assert process.post("/graphql", {"documentId": "Dashboard"}).status_code == 404
        assert run(capfd, data, "add", file)[0] == 0
        assert process.post("/graphql", {"documentId": "Dashboard"}).json() == OK
        assert run(capfd, data, "remove", "Dashboard", "--project", "shop")[0] == 0
        assert process.post("/graphql", {"documentId": "Dashboard"}).json() == OK
        text = "query Automatic {health {status}}"
        extensions = hash_of(text)
        assert process.post("/graphql", {"query": text, "extensions": extensions}).json() == OK
        assert process.post("/graphql", {"extensions": extensions}).json() == OK
        assert process.stop() == 0
    with DocumentsFile(data).change() as content:
        content.documents.append(TrustedDocument("default", "Old", "{removedField}", 1))
    assert "refused: Cannot query field 'removedField'" in run(capfd, data, "list")[1]
    with Process(data) as process:
        process.await_ready()
        assert process.post("/graphql", {"documentId": "Dashboard"}).json() == OK
        assert "PersistedQueryNotFound" in process.post("/graphql", {"extensions": extensions}).text
        answer = process.post("/graphql", {"documentId": "Old"})
        (error,) = answer.json()["errors"]
        assert answer.status_code == 400
        assert error["message"].startswith("The trusted document is no longer valid: Cannot query")
        assert error["extensions"]["field"] == "documentId"
        entries = process.graphql("{documents {id error}}")["documents"]
        assert [entry["error"] is None for entry in entries] == [True, False]
        process.await_output("no longer valid, and are refused")
        (line,) = [record for record in process.log_records() if "documents" in record]
        assert (line["level"], line["count"]) == ("warning", 1)
        assert line["documents"][0].startswith("default/Old: Cannot query field")
