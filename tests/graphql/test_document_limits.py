"""Limits of documents: at each limit a request is answered, above it is refused."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from graphql import DocumentNode, GraphQLError, get_introspection_query, parse
from graphql.language.parser import MAX_NESTING_DEPTH
from hypothesis import given, settings
from hypothesis import strategies as st

from api.graphql.documents.documents import Documents
from api.graphql.documents.limits import count_selections, count_syntax
from api.graphql.schema import schema
from api.variable_limits import names_refusal, variables_refusal
from schema import limits
from schema.errors import AnalyticsError, bad_input, quote
from schema.limits import DEFAULT_LIMITS, LIMITS, STORED_DOCUMENT_LIMITS, Limit
from tests.harness.apis import error_summary, first_error, record
from tests.harness.run_profile import short_or_long
from tests.harness.sample_operations import samples
from tests.harness.service import Service
from tests.harness.sized_documents import BUILDERS, VARIABLES, copies

CORE: Final = schema._schema


CODES: Final = {
    limits.DOCUMENT_BYTES: "PAYLOAD_TOO_LARGE",
    limits.DOCUMENT_TOKENS: "GRAPHQL_PARSE_FAILED",
    limits.DOCUMENT_DEPTH: "GRAPHQL_PARSE_FAILED",
}

OF_ANSWERS: Final = {
    limits.ARGUMENT_OBJECTS,
    limits.VALIDATION_ERRORS,
    limits.RESPONSE_ERRORS,
    limits.MESSAGE_CHARACTERS,
    limits.QUOTED_CHARACTERS,
    limits.LISTED_NAMES,
}


def test_every_limit_is_tested() -> None:
    """The table and these tests have the same limits, and each name is unique."""
    assert {*LIMITS} == BUILDERS.keys() | VARIABLES.keys() | OF_ANSWERS
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)


def test_every_limit_is_documented() -> None:
    """docs/security.md has the table of limits, in its order."""
    section = Path("docs/security.md").read_text().partition("\n## Limits\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(limit.name, f"{limit.value:,}", limit.description) for limit in LIMITS]


def test_limits_of_stored_documents_are_documented() -> None:
    """The section about trusted documents has the table of their limits."""
    section = Path("docs/security.md").read_text().partition("\n## Trusted documents\n")[2]
    text = section.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [
        (limit.name, f"{limit.value:,}", limit.description) for limit in STORED_DOCUMENT_LIMITS
    ]


@pytest.mark.parametrize("limit", BUILDERS, ids=lambda limit: limit.name)
async def test_limits_of_documents(service: Service, limit: Limit) -> None:
    """A document at a limit is answered; one above it is refused, and the error has the limit."""
    build = BUILDERS[limit]
    operation = "Q0" if limit is limits.OPERATIONS else None
    body = {"query": build(limit.value), "operationName": operation}
    answer = await service.post("/graphql", body)
    assert (answer.status_code, answer.json().get("errors")) == (200, None)
    step = 2 if limit is limits.COMPARISONS else 1
    answer = await service.post("/graphql", {"query": build(limit.value + step)})
    code = CODES.get(limit, "GRAPHQL_VALIDATION_FAILED")
    assert error_summary(answer)[1:] == (code, "query", limit.value)
    assert limit.name in first_error(answer)["message"]
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("limit", VARIABLES, ids=lambda limit: limit.name)
async def test_limits_of_variables(service: Service, limit: Limit) -> None:
    """Variables at a limit are read; those above it are refused, in the address too."""
    for size, status in ((limit.value, 200), (limit.value + 1, 422)):
        variables = VARIABLES[limit](size)
        query = {"query": "{health{status}}"}
        answers = [await service.post("/graphql", query | {"variables": variables})]
        if limit not in {limits.MEMBER_CHARACTERS, limits.VARIABLE_BYTES}:  # an address is shorter
            text = json.dumps(variables, separators=(",", ":"))
            answers.append(await service.http.get("/graphql", params=query | {"variables": text}))
        for answer in answers:
            assert answer.status_code == status
            if status == 422:
                expected = (422, "BAD_USER_INPUT", "variables", limit.value)
                assert error_summary(answer) == expected
                assert limit.name in first_error(answer)["message"]


async def test_the_document_is_judged_before_its_variables(service: Service) -> None:
    """Of an invalid document with too many values, the error of the document is answered."""
    variables = VARIABLES[limits.VARIABLE_VALUES](20_000)
    answer = await service.post("/graphql", {"query": "{health{", "variables": variables})
    assert error_summary(answer)[1] == "GRAPHQL_PARSE_FAILED"
    body = b'{"query":"{health{status}}","variables":{"v":[%b}' % (b"1," * 20_000)
    answer = await service.post("/graphql", body)
    assert error_summary(answer)[1] == "BAD_REQUEST"


def test_depth_through_fragments() -> None:
    """Levels of fragments count as levels: the limit holds where the parser's limit does not."""
    levels = "ofType{" * 50 + "...F#" + "}" * 50
    fragments = "".join(
        f"fragment F{n} on __Type{{{levels.replace('#', str(n + 1))}}}" for n in range(4)
    )
    text = f'{{__type(name:"Query"){{...F0}}}}{fragments}fragment F4 on __Type{{name}}'
    counts = count_selections(parse(text), DEFAULT_LIMITS)
    assert counts[limits.DOCUMENT_DEPTH] == 2 + 4 * 51 + 1
    with pytest.raises(GraphQLError, match="documentDepth"):
        Documents().read_at_once(CORE, text, DEFAULT_LIMITS)
    assert limits.DOCUMENT_DEPTH.value == MAX_NESTING_DEPTH


def test_real_documents_keep_to_the_limits() -> None:
    """The sample operations, and introspections with all options, are far from the limits."""
    options = dict.fromkeys(
        (
            *("descriptions", "specified_by_url", "directive_is_repeatable"),
            *("schema_description", "input_value_deprecation", "one_of"),
        ),
        True,
    )
    texts = [sample.text for sample in samples().values()]
    for text in (*texts, get_introspection_query(), get_introspection_query(**options)):
        document = Documents().read_at_once(CORE, text, DEFAULT_LIMITS)
        assert not document.errors
        for limit, count in count_selections(document.node, DEFAULT_LIMITS).items():
            assert count <= limit.value / 2, limit.name


GRAPHS: Final = st.integers(1, 5).flatmap(
    lambda size: st.tuples(
        *(
            st.lists(
                st.tuples(
                    st.sampled_from(("field", "alias", "nested", "spread", "inline")),
                    st.integers(number + 1, size),
                ),
                min_size=1,
                max_size=4,
            )
            for number in range(size)
        )
    )
)
"""Selections of each fragment; the fragment of a spread or of a nested field comes later."""


def fragment_text(parts: list[tuple[str, int]]) -> str:
    """Return selections of `__Type` with unique aliases."""
    forms = {
        "field": "name",
        "alias": "a{n}_{index}:name",
        "nested": "ofType{{...F{n}}}",
        "spread": "...F{n}",
        "inline": "...{{name ...F{n}}}",
    }
    return " ".join(forms[kind].format(n=n, index=index) for index, (kind, n) in enumerate(parts))


def graph_document(graph: tuple[list[tuple[str, int]], ...]) -> DocumentNode:
    """Return a document of fragments; the last one is a single field."""
    fragments = [*map(fragment_text, graph), "name"]
    texts = (f"fragment F{index} on __Type{{{text}}}" for index, text in enumerate(fragments))
    return parse('{__type(name:"Query"){...F0}}' + "".join(texts))


class Expansion:
    """A naive expansion: lists each selection of a set, and of all sets below it, one by one."""

    def __init__(self, document: DocumentNode) -> None:
        """Index the fragments by name."""
        self.fragments = {
            node["name"]["value"]: node
            for node in document.to_dict()["definitions"]
            if node["kind"] == "fragment_definition"
        }
        self.operation = document.to_dict()["definitions"][0]

    def collect(self, node: Any, spread_names: set[str]) -> tuple[list[Any], int]:
        """Return the fields of a node's selections, each fragment once, and all selections."""
        fields, count = [], 0
        for selection in node["selection_set"]["selections"]:
            count += 1
            if selection["kind"] == "field":
                fields.append(selection)
                continue
            parent = selection
            if selection["kind"] == "fragment_spread":
                name = selection["name"]["value"]
                if name in spread_names:
                    continue
                spread_names.add(name)
                parent = self.fragments[name]
            inner_fields, inner_count = self.collect(parent, spread_names)
            fields += inner_fields
            count += inner_count
        return fields, count

    def count(self, node: Any) -> tuple[int, int, int]:
        """Return the selections below a node, its aliases, and the most equal fields of a set."""
        fields, total = self.collect(node, set())
        keys = [(field.get("alias") or field["name"])["value"] for field in fields]
        equal = max((keys.count(key) for key in keys), default=0)
        aliases = sum(field.get("alias") is not None for field in fields)
        for field in fields:
            if field.get("selection_set"):
                counts = self.count(field)
                total, aliases, equal = (
                    total + counts[0],
                    aliases + counts[1],
                    max(equal, counts[2]),
                )
        return total, aliases, equal


@given(graph=GRAPHS)
@settings(max_examples=short_or_long(200, 3_000), deadline=None)
def test_expansion_counts_what_a_naive_one_counts(
    graph: tuple[list[tuple[str, int]], ...],
) -> None:
    """Of any graph of fragments, the pass counts the selections, aliases and equal fields."""
    document = graph_document(graph)
    total, aliases, equal = Expansion(document).count(Expansion(document).operation)
    counts = count_selections(document, DEFAULT_LIMITS)
    assert counts[limits.SELECTIONS] == total
    assert counts[limits.INTROSPECTION_ALIASES] == aliases
    assert counts[limits.EQUAL_FIELDS] == equal


@pytest.mark.parametrize("levels", [10, 60])
def test_expansion_of_2_to_the_60_fields_is_linear(levels: int) -> None:
    """The pass counts 2^60 fields exactly, and visits each selection set once."""
    texts = "".join(
        f"fragment F{n} on __Type{{ofType{{...F{n + 1}}} a:ofType{{...F{n + 1}}}}}"
        for n in range(levels)
    )
    document = parse(
        f'{{__type(name:"Query"){{...F0}}}}{texts}fragment F{levels} on __Type{{name}}'
    )
    counts = count_selections(document, DEFAULT_LIMITS)
    assert counts[limits.SELECTIONS] == 1 + 3 * (2**levels - 1) + 2 * 2**levels


def test_fragments_within_themselves_are_counted() -> None:
    """A fragment that spreads itself ends the count, not the service: validation refuses it."""
    text = '{__type(name:"Query"){...F}} fragment F on __Type{...F ofType{...F}}'
    count_selections(parse(text), DEFAULT_LIMITS)
    assert Documents().read_at_once(CORE, text, DEFAULT_LIMITS).errors


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (b'{"v":"' + b"{[," * 50_000 + b'"}', False),
        (b'{"v":"' + b'\\"{,' * 50_000 + b'"}', False),
        (b'{"v":"' + b"\\\\" * 50_000 + b'","w":[' + b"1," * 20_000 + b"1]}", True),
        (b'{"v":"' + b"\\\\" * 50_000 + b'\\"w:[' + b"1," * 20_000 + b'"}', False),
        (b'{"' + b"a" * 65_533 + b'\\"":"' + b"," * 20_000 + b'"}', False),
        (b'{"v":[' + b"1," * 9_997 + b"1]}", False),
        (b'{"v":[' + b"1," * 9_999 + b"1]}", True),
        (b'{"v":["' + b"a" * 2_000_000 + b'"' + b",1" * 10_000 + b"]}", True),
    ],
)
def test_values_are_counted_outside_of_texts(text: bytes, is_refused: bool) -> None:
    """Brackets and commas count outside of texts only, also over the ends of chunks."""
    assert (variables_refusal(text, DEFAULT_LIMITS) is not None) == is_refused


def test_variables_of_rows() -> None:
    """A variable is a variable of rows if it is nothing else, in any operation or fragment."""
    rows = "recordEvents(input:{events:$v}){accepted}"
    text = f"mutation($v:[EventInput!]!){{{rows} ...F}} fragment F on Mutation{{a:{rows}}}"
    assert count_syntax(parse(text)).row_variables == {"v"}
    mixed_text = text.replace("a:", "describeMetric(input:$v){success} a:")
    assert count_syntax(parse(mixed_text)).row_variables == frozenset()


def test_names_of_members_at_any_depth() -> None:
    """A long name is found in lists and objects."""
    name = "k" * (limits.MEMBER_CHARACTERS.value + 1)
    assert names_refusal({"v": [{"w": {name: 1}}]}, DEFAULT_LIMITS)
    assert not names_refusal({"v": [{"w": {name[1:]: name}}]}, DEFAULT_LIMITS)


async def test_an_invalid_document_has_few_errors(service: Service) -> None:
    """An answer has five errors of validation at most."""
    answer = await service.post("/graphql", {"query": f"{{{copies('f#', 90)}}}"})
    assert len(answer.json()["errors"]) == limits.VALIDATION_ERRORS.value


async def test_a_response_has_at_most_100_errors(service: Service) -> None:
    """Of more failed fields, the first errors are in the response."""
    await record(service, "/metrics", {"metric_name": "m", "value": 1})
    failing = "p#:query(range:{preset:TODAY} limit:5000){times}"
    query = f'{{metric(name:"m"){{{copies(failing, 110)}}}}}'
    answer = await service.post("/graphql", {"query": query})
    assert len(answer.json()["errors"]) == limits.RESPONSE_ERRORS.value


def test_messages_are_cut() -> None:
    """A message, a field and a quoted value keep to their lengths."""
    error = bad_input("f" * 1_000, "m" * 1_000)
    assert isinstance(error, AnalyticsError)
    assert len(error.message) == len(error.field or "") == limits.MESSAGE_CHARACTERS.value
    assert len(quote("a" * 1_000)) == limits.QUOTED_CHARACTERS.value + 2
    assert quote("a" * 100) == repr("a" * 100)
