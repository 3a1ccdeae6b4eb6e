"""Values of inputs: their first errors, and the fields that these name."""

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final

from graphql import GraphQLError
from graphql.utilities.validate_input_value import validate_input_value

_FIELD_IN_MESSAGE: Final = re.compile(
    r"Expected value of type '\w+' (?:to include required|not to include unknown) field '(\w+)'"
)


class _EnoughErrors(Exception):  # noqa: N818 - it ends a validation
    """As many errors of a value were found as an answer has."""


def first_errors(
    value: object,
    input_type: Any,  # noqa: ANN401 - graphql-core's types
    max_errors: int,
) -> list[tuple[GraphQLError, list[str | int]]]:
    """Return the first errors of a value with their paths: all of a large one take 0.5 s."""
    errors: list[tuple[GraphQLError, list[str | int]]] = []

    def keep(error: GraphQLError, path: list[str | int]) -> None:
        errors.append((error, path))
        if len(errors) == max_errors:
            raise _EnoughErrors

    with contextlib.suppress(_EnoughErrors):
        validate_input_value(value, input_type, keep)
    return errors


def field_of(name: str, path: Sequence[str | int], message: str) -> str:
    """Return the field of an error at a path below a name, as `range.last`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    member = _FIELD_IN_MESSAGE.match(message)  # a missing or an unknown field
    return name + "".join(steps) + (f".{member[1]}" if member else "")
