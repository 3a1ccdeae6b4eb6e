"""The committed SDL: it is current and valid, and has a description of every argument."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from graphql import GraphQLSchema, build_schema, is_specified_directive, validate_schema
from strawberry.utils.str_converters import to_camel_case

from api.graphql.schema import schema
from schema.series.aggregates import AGGREGATES, AggregateKind
from store.query.series.aggregates import EXACT, RECIPES

SDL: Final = Path("schema/schema.graphql").read_text()


def test_the_committed_sdl_is_current() -> None:
    """`schema/schema.graphql` is the API of its commit."""
    assert schema.as_str() + "\n" == SDL, "schema/schema.graphql is out of date: make schema"


def test_the_sdl_is_valid() -> None:
    """Tools that validate a schema find no error in it."""
    assert validate_schema(build_schema(SDL)) == []


def missing_descriptions(sdl: GraphQLSchema) -> Iterator[str]:
    """Yield the paths of our types, directives and members without a description."""
    ours: dict[str, Any] = {
        **{name: kind for name, kind in sdl.type_map.items() if not name.startswith("__")},
        **{f"@{kind.name}": kind for kind in sdl.directives if not is_specified_directive(kind)},
    }
    scalars = {"Boolean", "Float", "ID", "Int", "String"}
    for name in ours.keys() - scalars:
        yield from _missing_descriptions(name, ours[name])


def _missing_descriptions(path: str, part: Any) -> Iterator[str]:
    if not (part.description or "").strip():
        yield path
    for members in ("fields", "values", "args"):
        for name, member in (getattr(part, members, None) or {}).items():
            yield from _missing_descriptions(f"{path}.{name}", member)


def test_everything_in_the_sdl_is_described() -> None:
    """Each type, field, argument and enum value has a description."""
    assert sorted(missing_descriptions(build_schema(SDL))) == []


def test_each_missing_description_is_found() -> None:
    """The check finds a missing or blank description of every kind of member."""
    bare = """
    scalar Zone
    enum Order { UP }
    input Filter { eq: String }
    interface Node { id: ID! }
    type Query { " " node(id: ID!): Node }
    directive @cost(points: Int!) on FIELD_DEFINITION
    """
    assert sorted(missing_descriptions(build_schema(bare))) == [
        *("@cost", "@cost.points", "Filter", "Filter.eq", "Node", "Node.id"),
        *("Order", "Order.UP", "Query", "Query.node", "Query.node.id", "Zone"),
    ]


def test_aggregates_are_declared_once() -> None:
    """The enum, the types of the API and the recipes have the aggregates of one table."""
    assert list(AGGREGATES) == list(AggregateKind)
    assert RECIPES.keys() == AGGREGATES.keys() - {AggregateKind.RATE}  # an increase, divided
    fields = [field for spec in AGGREGATES.values() for field in (spec.metrics, spec.events)]
    assert {argument for field in fields if field for argument in field.arguments} == {
        *("q", "property", "exact", "cast", "per")
    }
    with_exact = {
        kind
        for kind, spec in AGGREGATES.items()
        if any(field and "exact" in field.arguments for field in (spec.metrics, spec.events))
    }
    assert EXACT.keys() == with_exact
    types: dict[str, Any] = dict(build_schema(SDL).type_map)
    for table, name in (("metrics", "Metric"), ("events", "Event")):
        kinds = [kind.name.lower() for kind, spec in AGGREGATES.items() if spec.field(table)]
        for suffix in ("Aggregates", "Columns"):
            assert list(types[name + suffix].fields) == list(map(to_camel_case, kinds))
