"""The commands of keys, on a stopped and a running service, and a start without keys."""

import subprocess
import time
from pathlib import Path

import msgspec
import pytest

import access_commands
from store.access.registry import RegistryFile
from tests.harness.access import bearer
from tests.harness.process import ROOT, SERVE, Process

PRODUCTION = {"ANALYTICS_ENV": "production"}
ON_ALL_ADDRESSES = PRODUCTION | {"HOST": "0.0.0.0"}  # noqa: S104 - what must not be open


def run(
    capfd: pytest.CaptureFixture[str], data: Path, *arguments: str
) -> tuple[int, str, list[str]]:
    """Run a command; return its exit code, its output, and the lines of its messages."""
    code = access_commands.main(["keys", *arguments, "--data", str(data)])
    output = capfd.readouterr()
    return code, output.out, output.err.splitlines()


def test_create_prints_the_key_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The output is the key, so that a script can take it; the rest goes to stderr."""
    for kind, prefix in (("public", "pk_"), ("secret", "sk_"), ("admin", "admin_")):
        code, output, messages = run(capfd, tmp_path / "data", "create", kind, "--name", "k")
        assert (code, output.count("\n"), len(messages)) == (0, 1, 1)
        assert output.startswith(prefix)
    assert [str(key.kind.value) for key in RegistryFile(tmp_path / "data").read().keys] == [
        *("pk", "sk", "admin"),
    ]


def test_list_and_revoke(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`list` shows each key with its state and without its secret; `revoke` takes its id."""
    headings = run(capfd, tmp_path, "list")[1].split()
    assert headings == ["ID", "KEY", "NAME", "PROJECT", "STATE", "LAST", "USED", "SCOPES"]
    options = ("--scope", "query", "--expires-in", "90d")
    _, secret, _ = run(capfd, tmp_path, "create", "secret", "--name", "two words", *options)
    _, table, _ = run(capfd, tmp_path, "list")
    row = table.splitlines()[1]
    assert "two words" in row
    assert "valid to" in row
    assert row.split()[-2:] == ["never", "query"]
    assert secret.strip() not in table
    (key,) = msgspec.json.decode("[" + run(capfd, tmp_path, "list", "--json")[1] + "]")
    assert (key["name"], key["scopes"]) == ("two words", ["query"])
    assert "sha256" not in key
    code, _, messages = run(capfd, tmp_path, "revoke", key["id"])
    assert (code, messages) == (
        0,
        [f"analytics-service: revoked {key['prefix']}… (two words)"],
    )
    assert "revoked 20" in run(capfd, tmp_path, "list")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "public", "--name", ""), "name: must have 1 to 100"),
        (("create", "secret", "--name", "k", "--scope", "delete"), "can't have DELETE"),
        (("create", "public", "--name", "k", "--origin", "app.example"), "origins: must be like"),
        (("create", "admin", "--name", "k", "--expires-in", "soon"), "Duration must be"),
        (("create", "admin", "--name", "k", "--expires-in", "P1M"), "months vary"),
        (("revoke", "key_nobody"), "There is no such key."),
    ],
)
def test_wrong_input(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """Wrong input is one line that says what is wrong, exit code 2, and makes no key."""
    code, output, messages = run(capfd, tmp_path, *arguments)
    assert (code, output, len(messages)) == (2, "", 1)
    assert message in messages[0]
    assert RegistryFile(tmp_path).read().keys == []


def test_unusable_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A damaged file stays as it is: one line, exit code 3."""
    (tmp_path / "access.json").write_text("{")
    for arguments in (("list",), ("create", "admin", "--name", "k"), ("revoke", "k")):
        code, output, messages = run(capfd, tmp_path, *arguments)
        assert (code, output, len(messages)) == (3, "", 1)
        assert "is damaged" in messages[0]
    assert (tmp_path / "access.json").read_text() == "{"


def command(data: Path, *arguments: str) -> str:
    """Run a command in a process of its own; return its output."""
    result = subprocess.run(
        [*SERVE, "keys", *arguments, "--data", str(data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def test_first_key_of_a_running_service(tmp_path: Path) -> None:
    """Production without a key on loopback says how to make one, which then works at once.

    Its revocation by the command counts within a second.
    """
    data = tmp_path / "data"
    with Process(data, settings=PRODUCTION) as process:
        process.await_ready()
        hint = next(line["message"] for line in process.log_records() if "keys" in line["message"])
        assert f"keys create admin --name admin --data {data}" in hint
        assert process.http.get("/metrics").status_code == 401
        secret = command(data, "create", "admin", "--name", "admin")
        assert process.http.get("/metrics", headers=bearer(secret)).status_code == 200
        (key,) = RegistryFile(data).read().keys
        command(data, "revoke", key.id)
        statuses = {0}
        for _ in range(1000):
            time.sleep(0.01)
            statuses = {process.http.get("/metrics", headers=bearer(secret)).status_code}
            if statuses == {401}:
                break
        assert statuses == {401}
        assert process.stop() == 0
    assert (RegistryFile(data).read().keys[0].last_used_ms or 0) > 0
    assert secret not in process.output()


@pytest.mark.parametrize("state", ["none", "revoked", "damaged"])
def test_production_does_not_start_open(tmp_path: Path, state: str) -> None:
    """On an address that strangers reach, production starts with a usable key only."""
    data = tmp_path / "data"
    if state == "revoked":
        command(data, "create", "admin", "--name", "k")
        command(data, "revoke", RegistryFile(data).read().keys[0].id)
    elif state == "damaged":
        data.mkdir()
        (data / "access.json").write_text("{")
    with Process(data, settings=ON_ALL_ADDRESSES) as process:
        assert process.wait() == 3
        (line,) = process.log_records()
        expected = "is damaged" if state == "damaged" else "keys create admin"
        assert expected in line["message"]


def test_production_starts_with_a_key(tmp_path: Path) -> None:
    """With a key, production listens on any address, without a warning."""
    data = tmp_path / "data"
    secret = command(data, "create", "secret", "--name", "k")
    with Process(data, settings=ON_ALL_ADDRESSES) as process:
        process.await_ready()
        assert process.http.get("/metrics").status_code == 401
        assert process.http.get("/metrics", headers=bearer(secret)).json()["metrics"] == []
        assert not [line for line in process.log_records() if line["level"] == "warning"]
