"""Hooks of Schemathesis for the REST API: the form of NDJSON, and rules that no JSON Schema has."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData

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


_duplicates: Final = set[str]()
"""Names of metrics whose point was a duplicate in this run; a hook sees one answer at a time."""


@schemathesis.hook
def after_call(_: Any, __: Any, response: Any) -> None:
    """Remember the name of a metric whose point had the id of an earlier row: it is not stored."""
    content = response.json() if b'"duplicate":true' in response.content else {}
    if "metric_name" in content:
        _duplicates.add(content["metric_name"])


@schemathesis.hook
def filter_failure(_: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Keep each failure but for three that are answers.

    A value may break a rule of several values. A batch with valid and invalid rows is a 200 that
    names the invalid ones. A duplicate is a 200 that says so, and makes no metric.
    """
    if isinstance(failure, EnsureResourceAvailability):
        return case.path_parameters["metric_name"] not in _duplicates
    content = response.json() if response.content else None
    if isinstance(failure, RejectedPositiveData):
        messages = list(_messages(content))
        return not messages or not all(
            any(rule in message for rule in RULES_OF_SEVERAL_VALUES) for message in messages
        )
    if isinstance(failure, AcceptedNegativeData) and isinstance(content, dict):
        return not content.get("rejected")
    return True


def _messages(content: Any) -> Iterator[str]:
    for error in content["errors"]:
        rows = error["extensions"].get("rows")
        yield from (row["message"] for row in rows) if rows else (error["message"],)
