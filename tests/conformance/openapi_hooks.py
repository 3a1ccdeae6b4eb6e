"""Hooks of Schemathesis for the REST API: the form of NDJSON, and rules that no JSON Schema has."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

RULES_OF_SEVERAL_VALUES: Final = (
    "parameter and header must agree",
    "must be from 1970 to 2099",  # a number's unit is a parameter, a text's year has an offset
    "looks like seconds",  # only without a unit
    "must be as many as timestamps",
)
"""Refusals of values that are valid each by itself: JSON Schema can't compare values."""


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: Any, row: Any) -> bytes:
    """Return a row as a line."""
    return msgspec.json.encode(row) + b"\n"


@schemathesis.hook
def filter_failure(_: Any, failure: Failure, __: Any, response: Any) -> bool:
    """Keep each failure but for refusals by a rule of several values, and batches stored in part.

    A batch with valid and invalid rows is a 200 that names the invalid ones.
    """
    content = response.json() if response.content else None
    if isinstance(failure, RejectedPositiveData):
        return not all(
            any(rule in message for rule in RULES_OF_SEVERAL_VALUES)
            for message in _messages(content)
        )
    if isinstance(failure, AcceptedNegativeData) and isinstance(content, dict):
        return not content.get("rejected")
    return True


def _messages(content: Any) -> Iterator[str]:
    for error in content["errors"]:
        rows = error["extensions"].get("rows")
        yield from (row["message"] for row in rows) if rows else (error["message"],)
