"""Formulas over random points, compared with plain Python; and over very many groups."""

import math
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.apis import ask, first_error, record
from tests.harness.service import NOON, Service
from tests.harness.statements import collect_statements
from tests.harness.strategies import SCENE_NUMBERS, SERIES_SETTINGS
from tests.oracle.formulas import HOURS, ExpectedSeries, Formula, Input, Point, expected_result

HOUR: Final = 3_600_000
BEGIN: Final = NOON - 2 * HOUR  # 07:00
RANGE: Final = {"between": {"from": "2025-10-09T07:00:00Z", "to": "2025-10-09T12:00:00Z"}}
DECLARED: Final = {
    "formula": "String!",
    "inputs": "[NamedMetricInput!]!",
    "compare": "CompareInput",
    "fill": "Fill!",
    "limit": "Int!",
    "offset": "Int!",
    "search": "String",
    "direction": "OrderDirection!",
    "range": "TimeRangeInput!",
}


def text(count: int) -> str:
    """Return a query of so many formulas, each with variables of its own."""
    declared = ", ".join(f"${name}{n}: {of}" for n in range(count) for name, of in DECLARED.items())
    names = {"search": "groupSearch"}
    fields = [
        f"f{n}: metricFormula(granularity: HOUR, "
        + ", ".join(f"{names.get(name, name)}: ${name}{n}" for name in DECLARED)
        + ") {...Answer}"
        for n in range(count)
    ]
    return f"query({declared}) {{{' '.join(fields)}}} {ANSWER}"


ANSWER: Final = """fragment Answer on FormulaResult {
  times
  series { label total values previousValues change { previous } }
  meta { totalGroups truncated warnings { code message } }
}"""

TEXTS: Final = ["a", "a + b", "a / b", "b - a", "a / (a + b) * 100", "-a * 2 + b / c", "a + b + c"]


def variables_of(formula: Formula) -> dict[str, Any]:
    """Return the variables that ask for a formula."""
    return {
        "formula": formula.text,
        "inputs": [
            {"as": each.name, "metric": each.metric, "aggregate": each.aggregate}
            | ({"groupBy": ["g"]} if each.is_grouped else {})
            for each in formula.inputs
        ],
        "compare": {"mode": "PREVIOUS_PERIOD"} if formula.has_comparison else None,
        "fill": formula.fill,
        "limit": formula.limit,
        "offset": formula.offset,
        "search": formula.search or None,
        "direction": "DESC" if formula.is_descending else "ASC",
        "range": RANGE,
    }


async def all_asked(service: Service, formulas: list[Formula]) -> list[Any]:
    """Ask a service for the answers to some formulas in one request."""
    variables = {
        f"{name}{n}": value
        for n, formula in enumerate(formulas)
        for name, value in variables_of(formula).items()
    }
    found = await ask(service, text(len(formulas)), **variables)
    return [found[f"f{n}"] for n in range(len(formulas))]


async def asked(service: Service, formula: Formula, **more: Any) -> Any:
    """Ask a service for the answer to a formula, with other variables than it has."""
    variables = {f"{name}0": value for name, value in (variables_of(formula) | more).items()}
    return (await ask(service, text(1), **variables))["f0"]


async def recorded(service: Service, points: list[Point]) -> None:
    """Record points."""
    rows = [
        {
            "metric_name": point.metric,
            "value": point.value,
            "timestamp": BEGIN + point.hour * HOUR,
            "tags": {} if point.group is None else {"g": point.group},
        }
        for point in points
    ]
    await record(service, "/metrics", *rows)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Point], list[Formula]]:
    """Draw points of three metrics, and formulas over them."""
    number = next(SCENE_NUMBERS)
    metrics = [f"f{number}{letter}" for letter in "abc"]
    groups = st.sampled_from(["x", "y", "Straße", None])
    point = st.builds(
        Point, st.sampled_from(metrics), st.integers(-HOURS, HOURS - 1), st.integers(-3, 6), groups
    )
    points = draw(st.lists(point, max_size=30))
    points += [Point(metric, -20, 1, None) for metric in metrics]  # each is known
    inputs = st.tuples(
        *(
            st.builds(
                Input,
                st.just(name),
                st.sampled_from(metrics),
                st.sampled_from(["COUNT", "SUM", "AVG", "MIN", "MAX"]),
                st.booleans(),
            )
            for name in "abc"
        )
    )
    formula = st.builds(
        Formula,
        st.sampled_from(TEXTS),
        inputs,
        st.sampled_from(["NULL", "ZERO", "NONE", "LINEAR"]),
        st.booleans(),
        st.sampled_from([1, 2, 1000]),
        st.sampled_from([0, 0, 1, 3]),
        st.sampled_from(["", "", "X", "STRASSE", "(none"]),
        st.booleans(),
    )
    return points, draw(st.lists(formula, min_size=1, max_size=4))


def agree(found: float | None, expected: float | None) -> bool:
    """Say whether two values are the same, but for rounding."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)


def check(found: Any, formula: Formula, points: list[Point]) -> None:
    """Compare an answer with that of the oracle."""
    shown, lines, total = expected_result(formula, points)
    assert found["times"] == [f"2025-10-09T{7 + hour:02}:00:00.000Z" for hour in shown]
    assert [one["label"] for one in found["series"]] == [line.label for line in lines]
    for one, line in zip(found["series"], lines, strict=True):
        _check_line(one, line, shown, compared=formula.has_comparison)
    meta = found["meta"]
    beyond = total - formula.offset - formula.limit
    grouped = any(each.is_grouped for each in formula.inputs)
    assert meta["totalGroups"] == total
    assert meta["truncated"] == (beyond > 0)
    codes = [each["code"] for each in meta["warnings"] if each["code"] != "UNKNOWN_KEY"]
    assert codes == ["TRUNCATED"] * (beyond > 0 and grouped)


def _check_line(one: Any, line: ExpectedSeries, shown: list[int], *, compared: bool) -> None:
    assert agree(one["total"], line.total)
    assert all(map(agree, one["values"], [line.values[hour] for hour in shown])), (one, line)
    if not compared:
        assert one["previousValues"] is one["change"] is None
        return
    before = line.previous_values or []
    assert len(one["previousValues"]) == len(shown)
    assert all(map(agree, one["previousValues"], [before[hour] for hour in shown])), (one, line)
    assert agree(one["change"]["previous"], line.previous_total)


@given(scenes())
@SERIES_SETTINGS
async def test_formulas(service: Service, scene: tuple[list[Point], list[Formula]]) -> None:
    """Any points, gaps, groups, fills, pages and comparisons: all is as in plain Python."""
    points, formulas = scene
    await recorded(service, points)
    answers = await all_asked(service, formulas)
    for formula, found in zip(formulas, answers, strict=True):
        check(found, formula, points)


def two(name: str, aggregate: str, *, grouped: bool) -> list[Input]:
    """Return inputs `a` and `b`, whose metrics are those of one test."""
    return [Input(each, f"{name} {each}", aggregate, grouped) for each in "ab"]


@pytest.mark.parametrize(
    ("fill", "hours", "values"),
    [
        ("NONE", [7, 10], [9, 4]),
        ("NULL", [7, 8, 9, 10, 11], [9, None, None, 4, None]),
        ("ZERO", [7, 8, 9, 10, 11], [9, 2, 5, 4, 0]),
    ],
)
async def test_inputs_are_joined_by_time(
    service: Service, fill: str, hours: list[int], values: list[float | None]
) -> None:
    """Unlike gaps: each hour is computed from the inputs' values in that hour."""
    a, b = inputs = two(fill, "AVG", grouped=False)
    points = [Point(a.metric, hour, value, None) for hour, value in ((0, 6), (1, 2), (3, 4))]
    points += [Point(b.metric, hour, value, None) for hour, value in ((0, 3), (2, 5), (3, 0))]
    points += [Point(b.metric, hour, 1, None) for hour in range(-4, 0)]
    await recorded(service, points)
    found = await asked(service, Formula("a + b", inputs, fill, has_comparison=True))
    assert found["times"] == [f"2025-10-09T{hour:02}:00:00.000Z" for hour in hours]
    assert found["series"][0]["values"] == values
    assert len(found["series"][0]["previousValues"]) == len(values)


@pytest.mark.usefixtures("frozen")
async def test_all_time_is_that_of_all_inputs(service: Service) -> None:
    """ALL_TIME has all points of all inputs in it, as a range and as what is compared with."""
    of = two("all", "SUM", grouped=False)
    points = [Point(of[0].metric, hour, 1, None) for hour in (-200, 1)]
    points += [Point(of[1].metric, hour, 100, None) for hour in (-100, 1)]
    await recorded(service, points)
    whole = {"preset": "ALL_TIME"}
    found = await asked(service, Formula("a + b", of, "NONE"), range=whole)
    assert found["times"][-1] == "2025-10-09T08:00:00.000Z"
    found = await asked(service, Formula("a + b", of, "ZERO"), range=whole)
    values = {
        time: value
        for time, value in zip(found["times"], found["series"][0]["values"], strict=True)
        if value
    }
    assert list(values.values()) == [1, 100, 101]
    assert found["series"][0]["total"] == 202
    found = await asked(service, Formula("a + b", of), compare={"range": whole})
    (one,) = found["series"]
    assert (one["total"], one["change"]["previous"]) == (101, 202)
    assert one["previousValues"][:HOURS] == [None] * HOURS  # the first hours of all time
    assert 101 in one["previousValues"]  # its other hours are more than there are points
    found = await asked(service, Formula("a", of[:1]), compare={"range": whole})
    assert found["series"][0]["previousValues"][:HOURS] == [1, None, None, None, None]


GROUPS: Final = 1500


async def test_more_groups_than_series(service: Service) -> None:
    """With any number of groups every series is right, and what is left out is said."""
    a, b = of = two("many", "SUM", grouped=True)
    points = [Point(a.metric, 1, n % 7, f"g{n}") for n in range(GROUPS)]
    points += [Point(b.metric, 1, 1 + n % 11, f"g{n}") for n in reversed(range(GROUPS))]
    points += [Point(b.metric, 2, 5, f"only b {n}") for n in range(10)]
    await recorded(service, points)
    for text, fill in (("a / b", "NULL"), ("a + b", "ZERO")):
        for offset in (0, 1000):
            formula = Formula(text, of, fill, offset=offset)
            check(await asked(service, formula), formula, points)
    found = await asked(service, Formula("a / b", of))
    assert len(found["series"]) == 1000
    assert found["meta"]["totalGroups"] == GROUPS + 10
    assert found["meta"]["warnings"] == [
        {"code": "TRUNCATED", "message": "510 groups are left out (limit 1000)."}
    ]


async def test_inputs_share_statements(service: Service) -> None:
    """Totals of groups take one statement, columns and a comparison one more, for all formulas."""
    points = [
        Point(f"shared {name}", hour, 1, group)
        for name in "ab"
        for hour in (-1, 1)
        for group in "xy"
    ]
    await recorded(service, points)
    one = """ %s: metricFormula(
      formula: "a / b * w", granularity: HOUR %s
      range: {between: {from: "2025-10-09T07:00:00Z", to: "2025-10-09T12:00:00Z"}}
      inputs: [
        {as: "a", metric: "shared a", aggregate: SUM, groupBy: ["g"]}
        {as: "b", metric: "shared b", aggregate: COUNT, groupBy: ["g"]}
        {as: "w", metric: "shared b", aggregate: MAX}
      ]
    ) {series {label total %s}}"""
    compare = "compare: {mode: PREVIOUS_PERIOD}"
    for arguments, selected, count in (
        ("", "", 1),
        ("", "values", 2),
        (compare, "change {ratio}", 2),
        (compare, "values previousValues", 2),
    ):
        panels = [one % (alias, arguments, selected) for alias in "pq"]
        with collect_statements() as ran:
            found = await ask(service, f"{{{' '.join(panels)}}}")
        assert len(ran) == count
        assert found["p"] == found["q"]
        assert [(line["label"], line["total"]) for line in found["p"]["series"]] == [
            ("x", 1),
            ("y", 1),
        ]


async def test_formula_without_any_group(service: Service) -> None:
    """Where no input has points in the range there is no series; an unknown metric is not found."""
    known, other = two("no", "SUM", grouped=True)
    await recorded(service, [Point(known.metric, -50, 1, "x")])
    found = await asked(service, Formula("a", [known], has_comparison=True))
    assert (found["series"], found["meta"]["totalGroups"]) == ([], 0)
    both = variables_of(Formula("a + b", [known, other]))
    variables = {f"{name}0": value for name, value in both.items()}
    answered = await service.post("/graphql", {"query": text(1), "variables": variables})
    assert first_error(answered)["extensions"]["code"] == "NOT_FOUND"
