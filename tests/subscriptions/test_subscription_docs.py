"""Execution of the examples of subscriptions in docs/graphql.md."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.harness import javascript
from tests.harness.process import ROOT, Process

TEXT: Final = (ROOT / "docs" / "graphql.md").read_text()
SECTION: Final = TEXT.partition("## Subscriptions\n")[2].partition("\n## ")[0]
(SCRIPT,) = re.findall(r"```js\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Run a service with an event."""
    with Process(tmp_path / "data") as service:
        service.await_ready()
        service.post("/events", {"event_name": "x"})
        yield service


def test_the_command(process: Process) -> None:
    """The command prints the events of a stream."""
    command = COMMAND.replace("localhost:3011", f"127.0.0.1:{process.port}")
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 28, result.stderr  # --max-time
    assert 'event: next\ndata: {"data":{"overviewChanged":{"eventCount":1,' in result.stdout


def test_the_script(process: Process) -> None:
    """The script prints the first result, and ends."""
    folder = javascript.GENERATED_FOLDER
    folder.mkdir(exist_ok=True)
    script = folder / "subscription.mjs"
    text = SCRIPT.replace("localhost:3011", f"127.0.0.1:{process.port}")
    script.write_text(text.replace('Bearer ${process.env.KEY ?? ""}', ""))
    code, output = javascript.run(str(script))
    script.unlink()
    assert (code, output) == (0, "[ { total: { count: 1 } } ]\n")
