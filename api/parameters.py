"""Query parameters: a route takes those that it declares, each once; any other is refused."""

import difflib
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import QueryParams

from schema.errors import bad_input

_SHOWN: Final = 100
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


def check_parameters(query: bytes | str, route: str, taken: Sequence[str]) -> None:
    """Refuse a parameter that a route, like `GET /events`, doesn't take, or that is there twice.

    Raises BAD_USER_INPUT that names the parameter and what the route takes.
    """
    seen: set[str] = set()
    for name, _ in QueryParams(query).multi_items():
        if name in seen:
            raise bad_input(name, "must not be given twice")
        if name not in taken:
            shown = name[:_SHOWN]
            message = f"{route} has no such parameter{_suggestion(shown, taken)}"
            raise bad_input(shown, message + _HINTS.get(route, ""))
        seen.add(name)


def _suggestion(name: str, taken: Sequence[str]) -> str:
    if not taken:
        return "; it takes none."
    folded = name.strip().lower().replace("-", "_")
    near = difflib.get_close_matches(folded, [each.lower() for each in taken], n=1)
    meant = next((each for each in taken if each.lower() in near), _SYNONYMS.get(folded))
    listed = f"it takes {', '.join(taken)}."
    return f"; did you mean {meant}? {listed.capitalize()}" if meant in taken else f"; {listed}"
