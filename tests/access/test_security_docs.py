"""Execution of docs/security.md: every command, on a service in production."""

import os
import re
import subprocess
import sys
from pathlib import Path

from schema.access import SCOPES, KeyKind, Scope
from tests.harness.process import ROOT, Process

TEXT = (ROOT / "docs" / "security.md").read_text()
(SCRIPT,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
*_, _REST = TEXT.partition("## On the open internet\n")
COMMANDS = re.findall(r"```bash\n(.*?)```", _REST.partition("\n## ")[2], re.DOTALL)
"""The commands after the deployment, which has a test of its own."""


def test_every_command_works(tmp_path: Path) -> None:
    """The commands run one after the other in one shell, and each succeeds."""
    program = tmp_path / "bin" / "analytics-service"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "{ROOT}/app.py" "$@"\n')
    program.chmod(0o755)
    data = tmp_path / "data"
    with Process(data, settings={"ANALYTICS_ENV": "production"}) as process:
        process.await_ready()
        script = "set -e\n" + "\n".join(COMMANDS)
        script = script.replace("localhost:3011", f"127.0.0.1:{process.port}")
        script = script.replace("./data", str(data)).replace("curl ", "curl -sS --fail-with-body ")
        script += f'\nTOKEN=$({sys.executable} -W ignore -c "$SIGN")\n'
        script += f'curl -sS -H "Authorization: Bearer $TOKEN" 127.0.0.1:{process.port}/events'
        path = f"{program.parent}:{os.environ['PATH']}"
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "SIGN": SCRIPT},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"errors":' not in result.stdout
    assert '"viewer":{"project":"default","scopes":["RECORD","QUERY","DESCRIBE"]' in result.stdout
    assert result.stdout.count('"success":true') == 3
    assert '"metric_name":"visits","count":1' in result.stdout
    assert len(re.findall(r"\bvalid\b", result.stdout)) == 11
    assert '"data":{"eventTrend":{"times":[' in result.stdout
    assert '"saveDocuments":{"documents":[{"id":"Health"}]}' in result.stdout
    assert "revoked pk_" in result.stderr
    assert result.stdout.endswith('{"events":[],"count":0,"total":0}')


def test_tables_of_kinds_and_scopes() -> None:
    """The tables have each kind with its scopes, and each scope."""
    kinds = dict(re.findall(r"^\| `([A-Z]+)`, `\w+_…` \| (.*?) \|", TEXT, re.MULTILINE))
    assert kinds.keys() == {kind.name for kind in KeyKind}
    for kind in KeyKind:
        names = set(re.findall(r"`([A-Z_]+)`", kinds[kind.name]))
        expected = {scope.name for scope in SCOPES[kind]}
        assert names == expected or (kinds[kind.name] == "all" and expected == {*Scope.__members__})
    assert re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE) == [*Scope.__members__]
