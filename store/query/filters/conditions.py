"""The compiler of filters: its conditions are 1 or 0 for every row, never NULL."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

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
from store.query.filters.subjects import LargeNumber, Subject

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


def metric_condition(where: MetricFilter, rows: RowSet, field: str = "where") -> str:
    """Compile a filter of points to a condition; its values are bound in `rows`.

    Raises `AnalyticsError` that names the part of `field` that is wrong or exceeds a limit.
    """
    return _Compiler(rows, None).compile_filter(where, field)


def event_condition(
    where: EventFilter, rows: RowSet, time_range: TimeRange | None, field: str = "where"
) -> str:
    """Compile a filter of events to a condition; its values are bound in `rows`.

    `performed` counts events in `time_range`. Raises `AnalyticsError` as `metric_condition` does.
    """
    return _Compiler(rows, time_range).compile_filter(where, field)


class _OperatorTest(NamedTuple):
    """An operator, its operand, and the field of the request that has it."""

    operator: str
    operand: Any
    field: str


class _Compiler:
    """Compiles one filter, and counts its tests."""

    def __init__(self, rows: RowSet, time_range: TimeRange | None) -> None:
        self._rows = rows
        self._time_range = time_range
        self._test_count = 0
        self._performed_count = 0

    def compile_filter(self, where: AnyFilter, field: str, depth: int = 0) -> str:
        """Compile a filter with its nested filters; `depth` is the number of enclosing filters."""
        if depth > MAX_DEPTH:
            raise bad_input(field, f"is more than {MAX_DEPTH} levels deep", limit=MAX_DEPTH)
        conditions = [
            compile_member(self, tests, f"{field}.{name}", depth)
            for member, name, compile_member in _MEMBERS
            if (tests := getattr(where, member, None)) is not None
        ]
        if not conditions:
            self._count_test(field)
        return _join_with_and(conditions)

    def and_(self, filters: Sequence[AnyFilter], field: str, depth: int) -> str:
        return _join_with_and(self._compile_filters(filters, field, depth))

    def or_(self, filters: Sequence[AnyFilter], field: str, depth: int) -> str:
        return f"({' OR '.join(self._compile_filters(filters, field, depth) or [_FALSE])})"

    def not_(self, where: AnyFilter, field: str, depth: int) -> str:
        return f"NOT ({self.compile_filter(where, field, depth + 1)})"

    def name(self, tests: StringFilter, field: str, _: int) -> str:
        return self._compile_texts(Subject("name"), tests, field)

    def user_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._compile_texts(subjects.optional("user_id"), tests, field)

    def session_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._compile_texts(subjects.optional("session_id"), tests, field)

    def time(self, tests: DateTimeFilter, field: str, _: int) -> str:
        return self._compile_tests(Subject("time"), operators.TIME_OPERATORS, tests, field)

    def value(self, tests: NumberFilter, field: str, _: int) -> str:
        return self._compile_tests(Subject("value"), operators.NUMBER_OPERATORS, tests, field)

    def tag(self, tests: TagFilter, field: str, _: int) -> str:
        if not 1 <= len(tests.key) <= json_fields.MAX_KEY_CHARACTERS:
            message = f"must be 1 to {json_fields.MAX_KEY_CHARACTERS} characters"
            raise bad_input(f"{field}.key", message, limit=json_fields.MAX_KEY_CHARACTERS)
        subject = subjects.tag(self._rows.slots, tests.key)
        return self._compile_texts(subject, tests.string, f"{field}.string")

    def property(self, tests: PropertyFilter, field: str, _: int) -> str:
        array_path = json_fields.split_at_array(tests.key, f"{field}.key")
        keys = () if array_path else json_fields.keys_of(tests.key, f"{field}.key")
        conditions = []
        for name, table in _PROPERTY_MEMBERS:
            member_tests = getattr(tests, name)
            if not member_tests:
                continue
            kind = "cast_number" if name == "number" and tests.cast else name
            if array_path:
                subject = subjects.item(self._rows.slots, array_path, kind)
            else:
                subject = subjects.PROPERTY[kind](self._rows.slots, keys)
            if table:
                conditions.append(
                    self._compile_tests(subject, table, member_tests, f"{field}.{name}")
                )
            else:
                conditions.append(self._compile_texts(subject, member_tests, f"{field}.{name}"))
        if not conditions:
            raise bad_input(field, "needs one of string, number, boolean, datetime, json")
        return _join_with_and(conditions)

    def performed(self, tests: PerformedFilter, field: str, depth: int) -> str:
        """Compile `performed` to `user_id IN (subquery)`.

        The subquery selects users whose count gives another result than a count of 0; everyone
        else gets the result for 0.
        """
        self._performed_count += 1
        if self._performed_count > MAX_PERFORMED:
            message = f"is more than the {MAX_PERFORMED} that a filter can have"
            raise bad_input(field, message, limit=MAX_PERFORMED)
        self._count_test(field)
        user_events = self._rows.unfiltered_copy()
        user_events.conditions.append(f"name = {user_events.bind('String', tests.event)}")
        user_events.add_range(self._time_range)
        user_events.conditions.append("user_id != ''")
        if tests.where:
            user_events.conditions.append(
                self.compile_filter(tests.where, f"{field}.where", depth + 1)
            )
        count = tests.count if tests.count and any(_operands(tests.count)) else NumberFilter(gte=1)
        table = operators.NUMBER_OPERATORS
        is_true = self._compile_tests(Subject("toFloat64(count())"), table, count, f"{field}.count")
        is_true_for_zero = is_true.replace("count()", "0")
        users = user_events.sql(
            "SELECT user_id", f"GROUP BY user_id HAVING ({is_true}) != ({is_true_for_zero})"
        )
        return f"(user_id != '' AND ({is_true_for_zero}) != (user_id IN (\n{users}\n)))"

    def _compile_filters(self, filters: Sequence[AnyFilter], field: str, depth: int) -> list[str]:
        self._check_length(filters, field)
        if not filters:
            self._count_test(field)
        return [
            self.compile_filter(child, f"{field}[{index}]", depth + 1)
            for index, child in enumerate(filters)
        ]

    def _compile_texts(self, subject: Subject, tests: StringFilter, field: str) -> str:
        if tests.case_sensitive is False:
            return self._compile_tests(subject, operators.ANY_CASE_OPERATORS, tests, field)
        if not subject.items:
            subject = dataclasses.replace(subject, prefilter_slices=operators.PREFILTER_SLICE)
        return self._compile_tests(subject, operators.STRING_OPERATORS, tests, field)

    def _compile_tests(self, subject: Subject, table: Operators, tests: Tests, field: str) -> str:
        """Compile all tests of one subject."""
        operator_tests = [
            _OperatorTest(operator, operand, f"{field}.{_graphql_name(operator)}")
            for operator, operand in _operands(tests)
        ]
        if subject.items:
            return self._compile_item_tests(subject, table, operator_tests)
        return _join_with_and([self._compile_test(subject, table, test) for test in operator_tests])

    def _compile_item_tests(
        self, subject: Subject, table: Operators, tests: Sequence[_OperatorTest]
    ) -> str:
        """Compile tests of an array: one item must pass all positive tests.

        A negative test excludes arrays in which any item passes its positive test.
        """
        item_conditions, conditions = [], []
        for test in tests:
            if test.operator == "is_set":
                conditions.append(self._compile_test(subject, table, test))
            elif test.operator in operators.NEGATIVE:
                positive = test._replace(operator=operators.NEGATIVE[test.operator])
                excluded_item = self._compile_test(subject, table, positive)
                conditions.append(f"NOT ({_exists(subject, excluded_item)})")
            else:
                item_conditions.append(self._compile_test(subject, table, test))
        if item_conditions:
            conditions.append(_exists(subject, _join_with_and(item_conditions)))
        return _join_with_and(conditions)

    def _compile_test(self, subject: Subject, table: Operators, test: _OperatorTest) -> str:
        self._count_test(test.field)
        positive = operators.NEGATIVE.get(test.operator, test.operator)
        json_prefix = ""
        if test.operator == "is_set":
            condition = subject.is_set
        else:
            type_name, template = table[positive]
            positive_test = test._replace(operator=positive)
            condition = self._value_condition(subject, type_name, template, positive_test)
            if positive in subject.prefilter_slices:
                operand_json = msgspec.json.encode(test.operand).decode()
                json_prefix = operand_json[subject.prefilter_slices[positive]]
        if subject.may_have:
            condition = f"({subject.may_have(json_prefix)} AND {condition})"
        is_positive = test.operand if test.operator == "is_set" else positive == test.operator
        return condition if is_positive else f"NOT ({condition})"

    def _value_condition(
        self, subject: Subject, type_name: str, template: str, test: _OperatorTest
    ) -> str:
        """Compile a positive test; `type_name` and `template` are those of its operator."""
        slot = self._bind_operand(test.operator, type_name, test.operand, test.field)
        operands = _as_list(test.operand)
        if subject.large and any(abs(number) >= operators.LARGE_NUMBER for number in operands):
            return self._large_number_condition(subject.large, test)
        condition = subject.passing(lambda value: template.format(column=value, value=slot))
        if subject.is_large_integer and (
            test.operator not in _EQUAL or any(map(_DIGITS.match, operands))
        ):
            return f"({condition} AND NOT {subject.is_large_integer})"
        return condition

    def _large_number_condition(self, number: LargeNumber, test: _OperatorTest) -> str:
        """Compile a test with an operand whose double several integers share: compare digits."""
        texts = [repr(float(operand) + 0.0) for operand in _as_list(test.operand)]
        is_equal = f"{number.group} IN {json_fields.canonical_values(self._rows.slots, texts)}"
        if test.operator in operators.JSON_OPERATORS:
            return is_equal
        digits = str(int(test.operand))
        operand_size = f"({len(digits)}, {self._rows.bind('String', digits)})"
        size = f"(length({number.group}), {number.group})"
        greater, smaller = (">", "<") if test.operand > 0 else ("<", ">")
        template = operators.LARGE_NUMBER_OPERATORS[test.operator]
        condition = template.format(
            column=number.number,
            value=self._rows.bind("Float64", float(test.operand)),
            is_equal=is_equal,
            is_greater=f"NOT {is_equal} AND {size} {greater} {operand_size}",
            is_smaller=f"NOT {is_equal} AND {size} {smaller} {operand_size}",
        )
        return f"ifNull({condition}, 0)"

    def _bind_operand(self, operator: str, type_name: str, operand: Any, field: str) -> str:  # noqa: ANN401
        if isinstance(operand, list):
            self._check_length(operand, field)
        if type_name.endswith(("Float64", "Float64)")):
            operand = _doubles(operand, field)
        if isinstance(operand, bool):
            operand = int(operand)
        if type_name == operators.JSON:
            texts = [_json(text, field) for text in _as_list(operand)]
            return json_fields.canonical_values(self._rows.slots, texts)
        if operator not in operators.PATTERNS:
            return self._rows.bind(type_name, operand)
        if len(operand) > MAX_PATTERN:
            raise bad_input(field, f"takes at most {MAX_PATTERN} characters", limit=MAX_PATTERN)
        if operator == "matches":
            return self._rows.slots.bind_pattern(operand, field)
        if (len(operand) - len(operand.rstrip("\\"))) % 2:
            raise bad_input(field, r"ends in a \ that escapes nothing")
        return self._rows.bind(type_name, operand)

    def _count_test(self, field: str) -> None:
        self._test_count += 1
        if self._test_count > MAX_TESTS:
            message = f"is more than the {MAX_TESTS} tests that a filter can have"
            raise bad_input(field, message, limit=MAX_TESTS)

    def _check_length(self, items: Sequence[object], field: str) -> None:
        if len(items) > MAX_ITEMS:
            raise bad_input(field, f"takes at most {MAX_ITEMS} entries", limit=MAX_ITEMS)


_MEMBERS: Final[Sequence[tuple[str, str, Callable[[_Compiler, Any, str, int], str]]]] = (
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


def _join_with_and(conditions: Sequence[str]) -> str:
    single_condition = "".join(conditions) or subjects.TRUE
    return f"({' AND '.join(conditions)})" if len(conditions) > 1 else single_condition


_PROPERTY_MEMBERS: Final[Sequence[tuple[str, Operators | None]]] = (
    ("string", None),
    ("number", operators.NUMBER_OPERATORS),
    ("boolean", operators.BOOLEAN_OPERATORS),
    ("datetime", operators.INSTANT_OPERATORS),
    ("json", operators.JSON_OPERATORS),
)
"""The members of a property's filter, and their operators; None stands for texts."""


def _exists(subject: Subject, condition: str) -> str:
    return f"arrayExists({array_items.ITEM} -> {condition}, {subject.items})"


def _as_list(operand: Any) -> Sequence[Any]:  # noqa: ANN401 - the operand of any operator
    return operand if isinstance(operand, list) else [operand]


def _json(text: str, field: str) -> str:
    """Return JSON as it is stored; refuse null, because null equals no value."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise bad_input(field, 'must be JSON text, like `12`, `[1]` or `"a"`') from None
    if value is None:
        raise bad_input(field, "null is no value: use `isSet: false`")
    return msgspec.json.encode(value).decode()


def _operands(tests: Tests) -> Iterator[tuple[str, Any]]:
    """List the operators of a filter that are not null, each with its operand."""
    for member in dataclasses.fields(tests):
        if member.name != "case_sensitive" and (operand := getattr(tests, member.name)) is not None:
            yield member.name, operand


def _graphql_name(operator: str) -> str:
    """Return the name of an operator in GraphQL."""
    return to_camel_case(operator.removesuffix("_"))


def _doubles(operand: float | Sequence[float], field: str) -> float | Sequence[float]:
    """Return numbers as doubles, without a negative zero.

    Refuse infinity, which GraphQL reads from 1e999 in a document.
    """
    if isinstance(operand, Sequence):
        return [_double(number, field) for number in operand]
    return _double(operand, field)


def _double(number: float, field: str) -> float:
    double = float(number) + 0.0
    if not math.isfinite(double):
        raise bad_input(field, "must be a finite number")
    return double
