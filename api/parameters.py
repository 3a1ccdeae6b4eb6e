"""Strict query parameters: a route takes each declared parameter once, and refuses any other."""

import difflib
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import QueryParams

from schema.errors import bad_input

_MAX_SHOWN: Final = 100
"""Characters of an unknown name in an error message."""

_SYNONYMS: Final = {
    **dict.fromkeys(("h", "d", "day", "days", "minutes", "last", "period", "range"), "hours"),
    **dict.fromkeys(("from", "start", "since", "window", "weeks", "months"), "hours"),
    **dict.fromkeys(("n", "count", "first", "max", "top", "size", "per_page", "take"), "limit"),
    **dict.fromkeys(("event", "name", "type", "event_type"), "event_name"),
}
_HINTS: Final = {
    "GET /events": " GraphQL filters by more: events(where: …).",
    "DELETE /events": " To delete some events use GraphQL: deleteEvents(input: …).",
}


def check_parameters(query: bytes | str, route: str, parameters: Sequence[str]) -> None:
    """Check the query string of a route, like `GET /events`, that declares these parameters.

    Raises BAD_USER_INPUT for an undeclared or a repeated parameter. The message names the
    parameter and the declared ones.
    """
    names: set[str] = set()
    for name, _ in QueryParams(query).multi_items():
        if name in names:
            raise bad_input(name, "must not be given twice")
        if name not in parameters:
            excerpt = name[:_MAX_SHOWN]
            message = f"{route} has no such parameter{_suggestion(excerpt, parameters)}"
            raise bad_input(excerpt, message + _HINTS.get(route, ""))
        names.add(name)


def _suggestion(name: str, parameters: Sequence[str]) -> str:
    if not parameters:
        return "; it takes none."
    normalized_name = name.strip().lower().replace("-", "_")
    lower_names = [parameter.lower() for parameter in parameters]
    matches = difflib.get_close_matches(normalized_name, lower_names, n=1)
    similar = (parameter for parameter in parameters if parameter.lower() in matches)
    suggestion = next(similar, _SYNONYMS.get(normalized_name))
    summary = f"it takes {', '.join(parameters)}."
    if suggestion not in parameters:
        return f"; {summary}"
    return f"; did you mean {suggestion}? {summary.capitalize()}"
