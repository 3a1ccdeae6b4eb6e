"""Hooks of Schemathesis for GraphQL: strategies of our scalars, and refusals that are answers."""

from datetime import date
from typing import Any, Final
from zoneinfo import available_timezones

import schemathesis
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLInputObjectType,
    ListValueNode,
    NameNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    Visitor,
    build_schema,
    get_named_type,
    parse_value,
    validate,
    visit,
)
from hypothesis import strategies as st
from schemathesis.core.failures import Failure
from schemathesis.graphql import nodes
from schemathesis.graphql.checks import GraphQLClientError, GraphQLServerError

from schema.errors import STATUS
from tests.harness.process import ROOT

_RECENT: Final = st.dates(date(2025, 12, 1), date(2026, 12, 31))
_DAYS: Final = st.dates(date(2, 1, 1), date(9998, 12, 31)) | _RECENT
_OFFSETS: Final = st.sampled_from(["Z", "z", "+00:00", "-00:00", "+05:45", "-11:00", "+14:00"])
_FRACTIONS: Final = st.sampled_from(["", ".5", ".123", ".123456789"])
_INSTANTS: Final = st.builds(
    "{}{}{:%H:%M:%S}{}{}".format, _DAYS, st.sampled_from("Tt "), st.times(), _FRACTIONS, _OFFSETS
)
_SHORT_DURATIONS: Final = st.builds(
    "{}{}".format, st.integers(1, 400), st.sampled_from(["ms", "s", "m", "h", "d", "w"])
)
_ISO_DURATIONS: Final = st.builds(
    "P{}{}".format, st.integers(1, 400), st.sampled_from(["D", "W"])
) | st.builds("PT{}{}".format, st.sampled_from(["1", "1.5", "90"]), st.sampled_from("HMS"))
_CALENDAR_DURATIONS: Final = st.sampled_from(["P1M", "P2Y", "P1Y2M3DT4H"])
_ZONES: Final = st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"}))
_JSON: Final = st.recursive(
    st.just(nodes.Null)
    | st.booleans().map(nodes.Boolean)
    | st.integers().map(nodes.Int)
    | st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float)
    | st.text(max_size=20).map(nodes.String),
    lambda values: (
        st.lists(values, max_size=3).map(nodes.List)
        | st.lists(
            st.builds(
                ObjectFieldNode,
                name=st.sampled_from("abc").map(lambda a: NameNode(value=a)),
                value=values,
            ),
            max_size=3,
            unique_by=lambda field: field.name.value,
        ).map(nodes.Object)
    ),
    max_leaves=10,
)

SCALARS: Final[dict[str, st.SearchStrategy[ValueNode]]] = {
    "Date": _DAYS.map(nodes.String),
    "DateTime": _INSTANTS.map(nodes.String),
    "Duration": (_SHORT_DURATIONS | _ISO_DURATIONS | _CALENDAR_DURATIONS).map(nodes.String),
    "JSON": _JSON,
    "Long": st.integers(-(2**63), 2**63 - 1).map(nodes.Int),
    "TimeZone": _ZONES.map(nodes.String),
}
"""Strategies of the custom scalars, of the values that their descriptions in the SDL allow."""

for name, strategy in SCALARS.items():
    schemathesis.graphql.scalar(name, strategy)


_SCHEMA: Final = build_schema((ROOT / "schema" / "schema.graphql").read_text())
_SIMPLEST_CHOICES: Final = {
    "TimeRangeInput": '{last: "P1D"}',
    "CompareInput": "{mode: PREVIOUS_PERIOD}",
    "GroupByInput": '{property: "n"}',
}
"""A value of each input of which exactly one field is given."""


_BAD_CURSOR_LENGTHS: Final = (1, 2)
"""Characters of a text that is kept as a cursor: such a text is refused.

Schemathesis puts words of its dictionaries into the others later, which would all be refused.
"""


class _Chooser(Visitor):
    """Visitor that makes documents which rules between arguments would refuse.

    It leaves one field in each `@oneOf` input, which the generator does not know; `first` alone of
    the arguments of a page, without most of the cursors; and one input of a formula.
    """

    def __init__(self, type_info: TypeInfo) -> None:
        super().__init__()
        self._type_info = type_info

    def enter_object_value(self, node: ObjectValueNode, *_: Any) -> ValueNode | None:
        """Return the input with its first field that is not null."""
        input_type = get_named_type(self._type_info.get_input_type())
        if not isinstance(input_type, GraphQLInputObjectType) or not input_type.is_one_of:
            return None
        choices = [f for f in node.fields if not isinstance(f.value, NullValueNode)]
        if choices:
            return None if len(node.fields) == 1 else ObjectValueNode(fields=tuple(choices[:1]))
        return parse_value(_SIMPLEST_CHOICES[input_type.name])

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode | None:
        """Return the inputs of a formula with one input."""
        value = node.value
        if node.name.value != "inputs" or not isinstance(value, ListValueNode):
            return None
        inputs = value.values[:1] or (parse_value('{as: "a", metric: "cpu"}'),)
        return ArgumentNode(name=node.name, value=ListValueNode(values=tuple(inputs)))

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        """Return a field with the arguments of one page, of the first rows."""
        values = {argument.name.value: argument.value for argument in node.arguments or ()}
        if "first" not in values:
            return None
        arguments = tuple(
            argument
            for argument in node.arguments or ()
            if argument.name.value not in {"last", "before", "after"} or _is_bad_cursor(argument)
        )
        return FieldNode(
            name=node.name, alias=node.alias, arguments=arguments, selection_set=node.selection_set
        )


def _is_bad_cursor(argument: ArgumentNode) -> bool:
    text = argument.value.value if isinstance(argument.value, StringValueNode) else ""
    return argument.name.value == "after" and len(text) in _BAD_CURSOR_LENGTHS


@schemathesis.hook
def map_body(_: Any, body: DocumentNode) -> DocumentNode:
    """Return a document that rules between arguments allow, unless it is invalid by others."""
    errors = validate(_SCHEMA, body)
    if any("OneOf Input Object" not in error.message for error in errors):
        return body
    type_info = TypeInfo(_SCHEMA)
    document: DocumentNode = visit(body, TypeInfoVisitor(type_info, _Chooser(type_info)))
    return document


_REASONS: Final = {"field", "limit", "rows"}
_EMPTY_BATCH: Final = "The batch has no rows."


@schemathesis.hook
def filter_failure(_: Any, failure: Failure, __: Any, ___: Any) -> bool:
    """Keep each failure but for refusals that are answers.

    Schemathesis takes each error with a path for a failed server. A typed error whose status is a
    4xx is an answer, as of an id without an object. SDL has no bounds, so a value can be refused:
    then the error names its field, its limit or its rows.
    """
    if isinstance(failure, GraphQLServerError):
        return not all(400 <= STATUS[_code(error)] < 500 for error in failure.errors)
    if isinstance(failure, GraphQLClientError):
        return not all(
            _code(error) == "BAD_USER_INPUT"
            and (error["extensions"].keys() & _REASONS or error["message"] == _EMPTY_BATCH)
            for error in failure.errors
        )
    return True


def _code(error: Any) -> str:
    code: str = error["extensions"]["code"]
    return code
