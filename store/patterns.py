"""Regular expressions of a request, checked by the engine before the query runs.

Only the engine knows the patterns that its RE2 accepts, and on an empty table it checks none.
"""

import re
from typing import Final

from schema.errors import bad_input
from store.driver import EngineError
from store.engine import Engine
from store.query.sql import Statement

_TEST: Final = (
    "SELECT match('', {pattern:String}) AS exactly,"
    " match('', concat('(?i)', {pattern:String})) AS in_any_case"
)
_CANNOT_COMPILE: Final = 427
_REASON: Final = re.compile(r"error: (.*?)\. Look at http", re.DOTALL)


async def check_patterns(engine: Engine, statement: Statement) -> None:
    """Raise `AnalyticsError` with the field of a pattern that RE2 refuses."""
    patterns: dict[object, str] = {}
    for name, field in statement.patterns.items():
        patterns.setdefault(statement.params[name], field)
    for pattern, field in patterns.items():
        try:
            await engine.select(Statement(_TEST, {"pattern": str(pattern)}), dict[str, int])
        except EngineError as error:
            if error.code != _CANNOT_COMPILE:
                raise
            match = _REASON.search(str(error))
            reason = match[1] if match else "RE2 refuses it"
            raise bad_input(field, f"is no regular expression: {reason}") from None
