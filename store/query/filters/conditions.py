"""Filters, compiled to conditions: each is 1 or 0 for every row, never NULL."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from strawberry.utils.str_converters import to_camel_case

from schema.errors import bad_input
from schema.filters import (
    BooleanFilter,
    DateTimeFilter,
    EventFilter,
    JsonFilter,
    MetricFilter,
    NumberFilter,
    PerformedFilter,
    PropertyFilter,
    StringFilter,
    TagFilter,
)
from schema.ranges import TimeRange
from store.query.fields import array_items, json_fields
from store.query.filters import operators, subjects
from store.query.filters.operators import Operators
from store.query.filters.row_set import RowSet
from store.query.filters.subjects import Large, Subject

MAX_TESTS: Final = 500
MAX_DEPTH: Final = 20
MAX_ITEMS: Final = 1000
MAX_PATTERN: Final = 1000
MAX_PERFORMED: Final = 10

_EQUAL: Final = frozenset({"eq", "in_"})
_DIGITS: Final = re.compile("-?[0-9]{19}")
_FALSE: Final = "0"

AnyFilter: TypeAlias = MetricFilter | EventFilter
Tests: TypeAlias = StringFilter | NumberFilter | BooleanFilter | DateTimeFilter | JsonFilter


def metric_condition(tests: MetricFilter, rows: RowSet, field: str = "where") -> str:
    """Return the condition that a filter means; its values are bound in `rows`.

    Raises `AnalyticsError` that names the part of `field` which is wrong or too much.
    """
    return _Compiler(rows, None).tree(tests, field)


def event_condition(
    tests: EventFilter, rows: RowSet, span: TimeRange | None, field: str = "where"
) -> str:
    """Do the same for events; `span` is the range in which `performed` looks."""
    return _Compiler(rows, span).tree(tests, field)


class _Compiler:
    """Goes through one filter, and counts what is in it."""

    def __init__(self, rows: RowSet, span: TimeRange | None) -> None:
        self._rows = rows
        self._span = span
        self._tests = 0
        self._performed = 0

    def tree(self, given: AnyFilter, field: str, depth: int = 0) -> str:
        """Compile a filter and those nested in it; `depth` is the number of filters around it."""
        if depth > MAX_DEPTH:
            raise bad_input(field, f"is more than {MAX_DEPTH} levels deep", limit=MAX_DEPTH)
        parts = [
            compiled(self, tests, f"{field}.{name}", depth)
            for part, name, compiled in _PARTS
            if (tests := getattr(given, part, None)) is not None
        ]
        if not parts:
            self._count(field)
        return _joined(parts)

    def and_(self, given: Sequence[AnyFilter], field: str, depth: int) -> str:
        return _joined(self._trees(given, field, depth))

    def or_(self, given: Sequence[AnyFilter], field: str, depth: int) -> str:
        return f"({' OR '.join(self._trees(given, field, depth) or [_FALSE])})"

    def not_(self, given: AnyFilter, field: str, depth: int) -> str:
        return f"NOT ({self.tree(given, field, depth + 1)})"

    def name(self, tests: StringFilter, field: str, _: int) -> str:
        return self._texts(Subject("name"), tests, field)

    def user_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._texts(subjects.optional("user_id"), tests, field)

    def session_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._texts(subjects.optional("session_id"), tests, field)

    def time(self, tests: DateTimeFilter, field: str, _: int) -> str:
        return self._tested(Subject("time"), operators.TIME_OPERATORS, tests, field)

    def value(self, tests: NumberFilter, field: str, _: int) -> str:
        return self._tested(Subject("value"), operators.NUMBER_OPERATORS, tests, field)

    def tag(self, tests: TagFilter, field: str, _: int) -> str:
        if not 1 <= len(tests.key) <= json_fields.MAX_KEY:
            message = f"must be 1 to {json_fields.MAX_KEY} characters"
            raise bad_input(f"{field}.key", message, limit=json_fields.MAX_KEY)
        subject = subjects.tag(self._rows.slots, tests.key)
        return self._texts(subject, tests.string, f"{field}.string")

    def property(self, tests: PropertyFilter, field: str, _: int) -> str:
        array = json_fields.items_of(tests.key, f"{field}.key")
        keys = () if array else json_fields.keys_of(tests.key, f"{field}.key")
        parts = []
        for name, table in _PROPERTY:
            given = getattr(tests, name)
            if not given:
                continue
            kind = "cast_number" if name == "number" and tests.cast else name
            if array:
                subject = subjects.item(self._rows.slots, array, kind)
            else:
                subject = subjects.PROPERTY[kind](self._rows.slots, keys)
            if table:
                parts.append(self._tested(subject, table, given, f"{field}.{name}"))
            else:
                parts.append(self._texts(subject, given, f"{field}.{name}"))
        if not parts:
            raise bad_input(field, "needs one of string, number, boolean, datetime, json")
        return _joined(parts)

    def performed(self, tests: PerformedFilter, field: str, depth: int) -> str:
        """Compare with the users of a statement of its own.

        It has those whom the count treats otherwise than a user with no such event: for them the
        answer is that of 0, turned round.
        """
        self._performed += 1
        if self._performed > MAX_PERFORMED:
            message = f"is more than the {MAX_PERFORMED} that a filter can have"
            raise bad_input(field, message, limit=MAX_PERFORMED)
        self._count(field)
        others = self._rows.unfiltered()
        others.conditions.append(f"name = {others.bind('String', tests.event)}")
        others.add_range(self._span)
        others.conditions.append("user_id != ''")
        if tests.where:
            others.conditions.append(self.tree(tests.where, f"{field}.where", depth + 1))
        count = tests.count if tests.count and any(_given(tests.count)) else NumberFilter(gte=1)
        table = operators.NUMBER_OPERATORS
        at_all = self._tested(Subject("toFloat64(count())"), table, count, f"{field}.count")
        at_none = at_all.replace("count()", "0")
        users = others.text("SELECT user_id", f"GROUP BY user_id HAVING ({at_all}) != ({at_none})")
        return f"(user_id != '' AND ({at_none}) != (user_id IN (\n{users}\n)))"

    def _trees(self, given: Sequence[AnyFilter], field: str, depth: int) -> list[str]:
        self._check_items(given, field)
        if not given:
            self._count(field)
        return [
            self.tree(child, f"{field}[{index}]", depth + 1) for index, child in enumerate(given)
        ]

    def _texts(self, subject: Subject, tests: StringFilter, field: str) -> str:
        if tests.case_sensitive is False:
            return self._tested(subject, operators.ANY_CASE_OPERATORS, tests, field)
        if not subject.items:
            subject = dataclasses.replace(subject, prefilter_slices=operators.PREFILTER_SLICE)
        return self._tested(subject, operators.STRING_OPERATORS, tests, field)

    def _tested(self, subject: Subject, table: Operators, tests: Tests, field: str) -> str:
        """Compile every test that is given, of one value."""
        given = [(each, f"{field}.{_shown(each[0])}") for each in _given(tests)]
        if subject.items:
            return self._any_item(subject, table, given)
        return _joined([self._one(subject, table, *each) for each in given])

    def _any_item(
        self, subject: Subject, table: Operators, given: Sequence[tuple[tuple[str, Any], str]]
    ) -> str:
        """Compile tests of an array: one item passes all that are not negative.

        What a negative test excludes is no item.
        """
        together, alone = [], []
        for test, field in given:
            operator, _ = test
            if operator == "is_set":
                alone.append(self._one(subject, table, test, field))
            elif operator in operators.NEGATIVE:
                positive = (operators.NEGATIVE[operator], test[1])
                excluded = self._one(subject, table, positive, field)
                alone.append(f"NOT ({_exists(subject, excluded)})")
            else:
                together.append(self._one(subject, table, test, field))
        if together:
            alone.append(_exists(subject, _joined(together)))
        return _joined(alone)

    def _one(self, subject: Subject, table: Operators, test: tuple[str, Any], field: str) -> str:
        self._count(field)
        operator, given = test
        positive = operators.NEGATIVE.get(operator, operator)
        written = ""
        if operator == "is_set":
            condition = subject.is_set
        else:
            condition = self._passes(subject, table[positive], (positive, given), field)
            if positive in subject.prefilter_slices:
                written = msgspec.json.encode(given).decode()[subject.prefilter_slices[positive]]
        if subject.has:
            condition = f"({subject.has(written)} AND {condition})"
        is_positive = given if operator == "is_set" else positive == operator
        return condition if is_positive else f"NOT ({condition})"

    def _passes(
        self, subject: Subject, made: tuple[str, str], test: tuple[str, Any], field: str
    ) -> str:
        """Compile a positive test to the condition that a value passes it."""
        type_name, template = made
        operator, given = test
        slot = self._bound(operator, type_name, given, field)
        if subject.large and any(abs(n) >= operators.LARGE for n in _as_list(given)):
            return self._passes_exactly(subject.large, template, (operator, given))
        condition = subject.passing(lambda value: template.format(column=value, value=slot))
        if subject.unless and (operator not in _EQUAL or any(map(_DIGITS.match, _as_list(given)))):
            return f"({condition} AND NOT {subject.unless})"
        return condition

    def _passes_exactly(self, of: Large, template: str, test: tuple[str, Any]) -> str:
        """Compile a test with a number that is the double of several integers, told by digits."""
        operator, given = test
        texts = [repr(float(each) + 0.0) for each in _as_list(given)]
        same = json_fields.same_values(self._rows.slots, texts)
        same = f"{of.group} IN {same}"
        if operator in operators.JSON_OPERATORS:
            return same
        digits = str(int(given))
        than = f"({len(digits)}, {self._rows.bind('String', digits)})"
        size = f"(length({of.group}), {of.group})"
        larger, smaller = (">", "<") if given > 0 else ("<", ">")
        template = operators.LARGE_NUMBER_OPERATORS[operator]
        compared = template.format(
            column=of.number,
            value=self._rows.bind("Float64", float(given)),
            same=same,
            more=f"NOT {same} AND {size} {larger} {than}",
            less=f"NOT {same} AND {size} {smaller} {than}",
        )
        return f"ifNull({compared}, 0)"

    def _bound(self, operator: str, type_name: str, given: Any, field: str) -> str:  # noqa: ANN401
        if isinstance(given, list):
            self._check_items(given, field)
        if type_name.endswith(("Float64", "Float64)")):
            given = _doubles(given, field)
        if isinstance(given, bool):
            given = int(given)
        if type_name == operators.JSON:
            texts = [_json(each, field) for each in _as_list(given)]
            return json_fields.same_values(self._rows.slots, texts)
        if operator not in operators.PATTERNS:
            return self._rows.bind(type_name, given)
        if len(given) > MAX_PATTERN:
            raise bad_input(field, f"takes at most {MAX_PATTERN} characters", limit=MAX_PATTERN)
        if operator == "matches":
            return self._rows.slots.bind_pattern(given, field)
        if (len(given) - len(given.rstrip("\\"))) % 2:
            raise bad_input(field, r"ends in a \ that escapes nothing")
        return self._rows.bind(type_name, given)

    def _count(self, field: str) -> None:
        self._tests += 1
        if self._tests > MAX_TESTS:
            message = f"is more than the {MAX_TESTS} tests that a filter can have"
            raise bad_input(field, message, limit=MAX_TESTS)

    def _check_items(self, given: Sequence[object], field: str) -> None:
        if len(given) > MAX_ITEMS:
            raise bad_input(field, f"takes at most {MAX_ITEMS} entries", limit=MAX_ITEMS)


_PARTS: Final[Sequence[tuple[str, str, Callable[[_Compiler, Any, str, int], str]]]] = (
    ("name", "name", _Compiler.name),
    ("time", "time", _Compiler.time),
    ("user_id", "userId", _Compiler.user_id),
    ("session_id", "sessionId", _Compiler.session_id),
    ("value", "value", _Compiler.value),
    ("tag", "tag", _Compiler.tag),
    ("property", "property", _Compiler.property),
    ("performed", "performed", _Compiler.performed),
    ("and_", "AND", _Compiler.and_),
    ("or_", "OR", _Compiler.or_),
    ("not_", "NOT", _Compiler.not_),
)


def _joined(conditions: Sequence[str]) -> str:
    alone = "".join(conditions) or subjects.TRUE
    return f"({' AND '.join(conditions)})" if len(conditions) > 1 else alone


_PROPERTY: Final[Sequence[tuple[str, Operators | None]]] = (
    ("string", None),
    ("number", operators.NUMBER_OPERATORS),
    ("boolean", operators.BOOLEAN_OPERATORS),
    ("datetime", operators.INSTANT_OPERATORS),
    ("json", operators.JSON_OPERATORS),
)
"""The parts of a property's filter, and their operators; None for those of texts."""


def _exists(subject: Subject, condition: str) -> str:
    return f"arrayExists({array_items.ITEM} -> {condition}, {subject.items})"


def _as_list(given: Any) -> Sequence[Any]:  # noqa: ANN401 - what an operator is given
    return given if isinstance(given, list) else [given]


def _json(text: str, field: str) -> str:
    """Return JSON as we store it; null is refused, which no value is equal to."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise bad_input(field, 'must be JSON text, like `12`, `[1]` or `"a"`') from None
    if value is None:
        raise bad_input(field, "null is no value: use `isSet: false`")
    return msgspec.json.encode(value).decode()


def _given(tests: Tests) -> Iterator[tuple[str, Any]]:
    """List the operators that are given, and what they compare with."""
    for part in dataclasses.fields(tests):
        if part.name != "case_sensitive" and (given := getattr(tests, part.name)) is not None:
            yield part.name, given


def _shown(operator: str) -> str:
    """Return the operator's name in GraphQL."""
    return to_camel_case(operator.removesuffix("_"))


def _doubles(given: float | Sequence[float], field: str) -> float | Sequence[float]:
    """Return numbers as doubles, without a negative zero.

    GraphQL reads 1e999 in a document as infinity.
    """
    if isinstance(given, Sequence):
        return [_double(number, field) for number in given]
    return _double(given, field)


def _double(given: float, field: str) -> float:
    double = float(given) + 0.0
    if not math.isfinite(double):
        raise bad_input(field, "must be a finite number")
    return double
