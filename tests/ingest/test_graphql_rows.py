"""Rows with the names of GraphQL are the rows that GraphQL's own check gives."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest
from graphql import GraphQLInputObjectType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.graphql.row_types import (
    EVENT_INPUTS,
    INPUT_NAMES,
    METRIC_INPUTS,
    RefusedRowError,
    UnreadableRowError,
)
from api.graphql.schema import schema
from store.ingest.body_lines import lines_of
from store.ingest.decoder import Batch, read_batch
from store.ingest.line_templates import TemplateCache
from store.ingest.row_errors import GRAPHQL_NAMES
from store.ingest.rows import EVENT, METRIC, RowType
from tests.harness.graphql_batches import row_arrays
from tests.harness.run_profile import short_or_long
from tests.harness.spellings import NOW, learn_body, outcome

_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
INPUT_TYPES: Final[Mapping[str, RowType[Any]]] = {"metrics": METRIC_INPUTS, "events": EVENT_INPUTS}


def read_each(row_type: RowType[Any], array: bytes) -> Batch[Any]:
    """Return an array of rows, each of which GraphQL reads by itself."""
    assert row_type.dialect
    texts = map(row_type.dialect.translate, _ARRAY.decode(array))
    body = b"[" + b",".join(texts) + b"]"
    return read_batch(row_type.dialect.rest_type, body, NOW, GRAPHQL_NAMES)


def outcome_or_refusal(row_type: RowType[Any], array: bytes, templates: TemplateCache) -> object:
    """Return the outcome of an array, or the class of the error that refuses it."""
    try:
        return outcome(lambda: templates.read_batch(row_type, array, NOW, GRAPHQL_NAMES))
    except (RefusedRowError, UnreadableRowError) as error:
        return type(error)


def assert_same(row_type: RowType[Any], array: bytes, templates: TemplateCache) -> None:
    """Check that an array has the rows and errors of its rows, each read by itself."""
    try:
        expected: object = outcome(lambda: read_each(row_type, array))
    except (RefusedRowError, UnreadableRowError):
        refusals = {RefusedRowError, UnreadableRowError}  # whichever row comes first
        assert outcome_or_refusal(row_type, array, templates) in refusals
        return
    except (msgspec.MsgspecError, RecursionError):
        return  # no array
    assert outcome_or_refusal(row_type, array, templates) == expected


@given(
    drawing=st.sampled_from(sorted(INPUT_TYPES)).flatmap(
        lambda kind: st.tuples(st.just(kind), row_arrays(kind))
    )
)
@settings(
    max_examples=short_or_long(300, 5_000), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_any_rows(drawing: tuple[str, str]) -> None:
    """Any rows, before and after their forms were learned, are those of GraphQL's own check."""
    kind, text = drawing
    row_type, array = INPUT_TYPES[kind], text.encode()
    templates = TemplateCache()
    assert_same(row_type, array, templates)
    learn_body(templates, array, row_type)
    assert_same(row_type, array, templates)


@pytest.mark.parametrize("row_type", INPUT_NAMES)
def test_rows_have_the_fields_of_their_input(row_type: RowType[Any]) -> None:
    """The struct of a row has the fields of its input, so that no row is refused by one only."""
    core_type = schema._schema.type_map[INPUT_NAMES[row_type]]
    assert isinstance(core_type, GraphQLInputObjectType)
    assert row_type.dialect
    rest_fields = msgspec.structs.fields(row_type.dialect.rest_type.row)
    names = {GRAPHQL_NAMES.get(field.name, field.name) for field in rest_fields}
    assert names == set(core_type.fields)


POINT: Final = {"name": "cpu", "value": 1.5, "time": "2023-11-14T22:13:20.123Z", "id": "1"}
EVENT_ROW: Final = {
    "name": "view",
    "userId": "u",
    "sessionId": None,
    "properties": {"page": "/a", "list": [1, 2]},
    "time": "2023-11-14T22:13:20.123Z",
}


def match(row_type: RowType[Any], row: dict[str, Any]) -> Batch[Any] | None:
    """Return rows of one form as a batch if they match the template of this form."""
    array = msgspec.json.encode([row] * 100)
    templates = TemplateCache()
    learn_body(templates, array, row_type)
    lines = lines_of(array)
    assert lines
    assert_same(row_type, array, templates)
    return templates.match(row_type, lines, NOW, GRAPHQL_NAMES)


@pytest.mark.parametrize(
    ("row_type", "row"),
    [(METRIC_INPUTS, POINT), (EVENT_INPUTS, EVENT_ROW)],
    ids=["metrics", "events"],
)
def test_lines_have_the_names_of_rest(row_type: RowType[Any], row: dict[str, Any]) -> None:
    """Matching lines, with their keys in any order, go into the journal with the REST names."""
    rest_type = METRIC if row_type is METRIC_INPUTS else EVENT
    names = {name: rest_name for rest_name, name in GRAPHQL_NAMES.items()}
    for first_key, value in row.items():
        row_in_order = {first_key: value, **row}
        batch = match(row_type, row_in_order)
        assert batch
        assert batch.row_type is rest_type
        keys = list(msgspec.json.decode(batch.lines.splitlines()[0]))
        assert [names.get(key, key) for key in row_in_order if key != "name"] == [
            key for key in keys if not key.endswith("_name")
        ]


def test_nested_keys_keep_their_names() -> None:
    """A key of properties may be the name of a field of GraphQL."""
    for value in ({"name": "x"}, {"time": 1}, {"a": {"userId": "u", "name": "x"}}):
        for row in ({"name": "view", "properties": value}, {"properties": value, "name": "view"}):
            match(EVENT_INPUTS, row)
    product = {"name": "view", "properties": {"product": {"name": "x"}}, "userId": "u"}
    batch = match(EVENT_INPUTS, product)
    assert batch
    assert batch.rows[0].properties == {"product": {"name": "x"}}


def test_long_lines_are_renamed() -> None:
    """Lines of any length have the names of REST: many in a chunk, or one over several."""
    for length in (1, 30_000, 100_000):
        array = msgspec.json.encode([{"name": "view", "properties": {"a": "x" * length}}] * 20)
        templates = TemplateCache()
        learn_body(
            templates, msgspec.json.encode([{"name": "v", "properties": {"a": ""}}]), EVENT_INPUTS
        )
        assert_same(EVENT_INPUTS, array, templates)
