"""Random documents over the whole schema, most of them valid, with texts from a pool."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
)

_MAX_FIELDS: Final = 3
_MAX_DEPTH: Final = 6
_VOLATILE: Final = frozenset({"elapsedMs", "rowsRead", "budget", "lastUsedAt"})
"""Fields whose values differ between two equal requests."""


class Documents:
    """A source of random queries; `texts` are the strings, ids and cursors in their arguments."""

    def __init__(self, schema: GraphQLSchema, dice: random.Random, texts: Sequence[str]) -> None:
        """Take all choices from `dice`."""
        assert schema.query_type
        self._root = schema.query_type
        self._schema = schema
        self._dice = dice
        self._scalars: Final[Mapping[str, Sequence[Any]]] = {
            "String": texts,
            "ID": texts,
            "Int": (1, 2, 3, 10, 100),
            "Long": (0, 1, 5),
            "Float": (0, 0.5, 1, 100),
            "Boolean": (True, False),
            "DateTime": ("2025-10-09T07:00:00Z", "2025-10-09T09:00:00+02:00"),
            "Date": ("2025-10-08", "2025-10-09"),
            "Duration": ("PT1H", "P1D", "P30D"),
            "TimeZone": ("UTC", "Europe/Berlin"),
            "JSON": (*texts, 1, True),
        }

    def query(self) -> str:
        """Return a query."""
        return self._selection(self._root, 0)

    def _selection(self, object_type: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        names = [name for name in object_type.fields if name not in _VOLATILE]
        if depth >= _MAX_DEPTH:
            names = [name for name in names if not _has_fields(object_type.fields[name].type)]
        count = min(len(names), self._dice.randint(1, _MAX_FIELDS))
        members = [
            f"{alias}: {self._field(name, object_type.fields[name], depth)}"
            for alias, name in zip("abcd", self._dice.sample(names, count), strict=False)
        ]
        if isinstance(object_type, GraphQLInterfaceType):
            members += [
                f"... on {possible.name} {self._selection(possible, depth + 1)}"
                for possible in self._schema.get_possible_types(object_type)
            ]
        return "{" + " ".join(members or ["__typename"]) + "}"

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        arguments = [
            f"{key}: {self._value(argument.type, depth=0)}"
            for key, argument in field.args.items()
            if isinstance(argument.type, GraphQLNonNull) or self._dice.random() < 0.12
        ]
        text = f"{name}({', '.join(arguments)})" if arguments else name
        named_type = get_named_type(field.type)
        if isinstance(named_type, GraphQLObjectType | GraphQLInterfaceType):
            return f"{text} {self._selection(named_type, depth + 1)}"
        return text

    def _value(self, input_type: GraphQLInputType, depth: int) -> str:
        match input_type:
            case GraphQLNonNull(of_type=inner):
                return self._value(inner, depth)
            case GraphQLList(of_type=inner):
                entries = [self._value(inner, depth) for _ in range(self._dice.randint(1, 2))]
                return f"[{', '.join(entries)}]"
            case GraphQLEnumType(values=values):
                return str(self._dice.choice(list(values)))
            case GraphQLInputObjectType(name="TimeRangeInput"):
                return self._dice.choice(('{last: "P1D"}', "{preset: ALL_TIME}", '{last: "PT2H"}'))
            case GraphQLInputObjectType(fields=fields):
                required_names = [n for n, field in fields.items() if _is_required(field.type)]
                optional_names = [n for n in fields if n not in required_names]
                limit = 1 if depth < 3 else 0
                member_names = required_names + self._dice.sample(
                    optional_names, min(limit, len(optional_names))
                )
                members = [
                    f"{name}: {self._value(fields[name].type, depth + 1)}" for name in member_names
                ]
                return "{" + ", ".join(members) + "}"
            case _:
                scalar = get_named_type(input_type).name
                return json.dumps(self._dice.choice(self._scalars.get(scalar, ("P1D",))))


def _has_fields(output_type: GraphQLOutputType) -> bool:
    return isinstance(get_named_type(output_type), GraphQLObjectType | GraphQLInterfaceType)


def _is_required(input_type: GraphQLInputType) -> bool:
    return isinstance(input_type, GraphQLNonNull)
