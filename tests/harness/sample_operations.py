"""Sample operations of clients, from `tests/operations/`, and the rows for them.

Add `Name.graphql` there with one operation `Name` and its fragments, and `Name.json` with its
variables if it has any. A file with fragments alone serves all operations. The tests execute,
compile and type-check each operation, and run it through the clients.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from graphql import parse, print_ast
from graphql.utilities import separate_operations

FOLDER: Final = Path(__file__).parent.parent / "operations"

METRICS: Final = [
    *(
        {"metric_name": "page_views", "value": value, "timestamp": f"2026-01-0{day}T12:00:00Z"}
        for value, day in ((150, 1), (-50, 1), (0.5, 1), (1000, 3))
    ),
    *(
        {"metric_name": "cpu", "value": value, "timestamp": f"2026-02-01T{hour}:30:00Z"}
        | {"tags": {"host": host}}
        for host, values in (("web-1", (20, 25)), ("web-2", (60, 75)))
        for value, hour in zip(values, (12, 13), strict=True)
    ),
    *({"metric_name": name, "value": 1} for name in ("cpu", "memory", "obsolete", "signups")),
]
EVENTS: Final = [
    *(
        {"event_name": name, "user_id": user, "timestamp": f"2026-01-01T12:00:0{n}Z"}
        | {"properties": {"n": n, "deep": [{"é": None}]}}
        for n, (name, user) in enumerate(
            [
                *(("signup", "u1"), ("order", "u1"), ("signup", "u2"), ("order", "u1")),
                *(("visit", "u1"), ("order", "u1"), ("order", "u1"), ("signup", None)),
            ]
        )
    ),
    {"event_name": "obsolete"},
]


@dataclass(frozen=True, slots=True)
class Sample:
    """An operation with its fragments and its variables."""

    text: str
    variables: dict[str, Any]


def samples() -> dict[str, Sample]:
    """Return all operations by name."""
    texts = [path.read_text() for path in sorted(FOLDER.glob("*.graphql"))]
    document = parse("\n".join(texts))
    return {
        name: Sample(print_ast(operation), _variables(FOLDER / f"{name}.json"))
        for name, operation in separate_operations(document).items()
    }


def _variables(path: Path) -> dict[str, Any]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else {}
