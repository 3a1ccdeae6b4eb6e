"""The cost of a statement, before it runs and after.

A unit is about a millisecond of one core: rows times the work on each row, and cells of the answer.
The work on a row follows from the functions in the statement's text, which has no text of a user.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from store.query.sql import Scan, Statement

STATEMENT_COST: Final = 1.0
"""Cost of any statement: the engine parses and plans it."""

SCAN_WORK: Final = 10.0
"""Cost of reading a million rows of some columns."""

FUNCTION_WORK: Final[Mapping[str, float]] = {
    "JSONExtract": 250.0,
    "simpleJSONExtract": 70.0,
    "visitParam": 70.0,
    "match": 150.0,
    "multiMatch": 150.0,
    "extract": 150.0,
    "replaceRegexp": 150.0,
    "caseFoldUTF8": 100.0,
    "position": 20.0,
    "lagInFrame": 250.0,
    "arrayJoin": 50.0,
    "uniq": 50.0,
    "quantile": 30.0,
    "argMin": 15.0,
    "argMax": 15.0,
    "sum": 7.0,
    "min": 3.0,
    "max": 3.0,
    "transform": 20.0,
    "sipHash64": 10.0,
}
"""Cost of a function for a million rows, by the beginning of its name. Measured on one core."""

GROUP_WORK: Final = 15.0
"""Cost of grouping a million rows."""

CELL_COST: Final = 1 / 5_000
"""Cost of a value in the answer."""

_FUNCTIONS: Final = sorted(FUNCTION_WORK, key=len, reverse=True)
_USES: Final = re.compile(rf"\b({'|'.join(_FUNCTIONS)})(?=\w*\()|(GROUP BY)")


def row_work(text: str) -> float:
    """Return the cost of a million rows for a statement with this text."""
    uses = _USES.findall(text)
    return SCAN_WORK + sum(FUNCTION_WORK[name] if name else GROUP_WORK for name, _ in uses)


def estimated_cost(statement: Statement, rows_of: Callable[[Scan], float]) -> float:
    """Return the cost of a statement before it runs; `rows_of` estimates the rows of a scan."""
    rows = sum(map(rows_of, statement.scans))
    return _cost(statement, rows)


def actual_cost(statement: Statement, rows_read: int) -> float:
    """Return the cost of a statement that read so many rows."""
    return _cost(statement, rows_read)


def _cost(statement: Statement, rows: float) -> float:
    # Each branch of a statement works on the rows of its own scan.
    work = row_work(statement.text) / max(1, len(statement.scans))
    cells = sum(scan.cells for scan in statement.scans)
    return STATEMENT_COST + rows / 1e6 * work + cells * CELL_COST
