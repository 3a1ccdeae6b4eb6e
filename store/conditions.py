"""Filters, compiled to conditions: each is 1 or 0 for every row, never NULL."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec
from strawberry.utils.str_converters import to_camel_case

from schema.errors import bad_input
from schema.filters import (
    BooleanFilter,
    DateTimeFilter,
    EventFilter,
    MetricFilter,
    NumberFilter,
    PerformedFilter,
    PropertyFilter,
    StringFilter,
    TagFilter,
)
from schema.ranges import TimeRange
from store import fields, operators
from store.operators import Operators
from store.selection import Rows
from store.sql import Slots

MAX_TESTS: Final = 500
MAX_DEPTH: Final = 20
MAX_ITEMS: Final = 1000
MAX_PATTERN: Final = 1000
MAX_PERFORMED: Final = 10

_TRUE: Final = "1"
_FALSE: Final = "0"

AnyFilter: TypeAlias = MetricFilter | EventFilter
Tests: TypeAlias = StringFilter | NumberFilter | BooleanFilter | DateTimeFilter


def metric_condition(tests: MetricFilter, rows: Rows, field: str = "where") -> str:
    """Return the condition that a filter means; its values are bound in `rows`.

    Raises `AnalyticsError` that names the part of `field` which is wrong or too much.
    """
    return _Compiler(rows, None).tree(tests, field)


def event_condition(
    tests: EventFilter, rows: Rows, span: TimeRange | None, field: str = "where"
) -> str:
    """Do the same for events; `span` is the range in which `performed` looks."""
    return _Compiler(rows, span).tree(tests, field)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tested: an expression of its value, and a condition for its being there.

    `passes` makes a condition of a test of the value, for rows that don't have it, too. `has` is a
    quick look whether the JSON of the value may begin so, `written` what operators want there.
    """

    value: str
    is_set: str = _TRUE
    passes: Callable[[str], str] = str
    has: Callable[[str], str] | None = None
    written: Mapping[str, slice] = field(default_factory=dict)


class _Compiler:
    """Goes through one filter, and counts what is in it."""

    def __init__(self, rows: Rows, span: TimeRange | None) -> None:
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
        return self._texts(_Subject("name"), tests, field)

    def user_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._texts(_optional("user_id"), tests, field)

    def session_id(self, tests: StringFilter, field: str, _: int) -> str:
        return self._texts(_optional("session_id"), tests, field)

    def time(self, tests: DateTimeFilter, field: str, _: int) -> str:
        return self._tested(_Subject("time"), operators.TIME_OPERATORS, tests, field)

    def value(self, tests: NumberFilter, field: str, _: int) -> str:
        return self._tested(_Subject("value"), operators.NUMBER_OPERATORS, tests, field)

    def tag(self, tests: TagFilter, field: str, _: int) -> str:
        if not 1 <= len(tests.key) <= fields.MAX_KEY:
            message = f"must be 1 to {fields.MAX_KEY} characters"
            raise bad_input(f"{field}.key", message, limit=fields.MAX_KEY)
        is_set = fields.tag_is_set(self._rows.slots, tests.key)
        subject = _Subject(
            fields.tag_text(self._rows.slots, tests.key),
            is_set=is_set,
            passes=lambda test: f"{is_set} AND {test}",
            has=functools.partial(fields.tag_has, self._rows.slots, tests.key),
        )
        return self._texts(subject, tests.string, f"{field}.string")

    def property(self, tests: PropertyFilter, field: str, _: int) -> str:
        keys = fields.keys_of(tests.key, f"{field}.key")
        parts = []
        if tests.string:
            subject = self._property(keys, fields.property_text)
            parts.append(self._texts(subject, tests.string, f"{field}.string"))
        if tests.number:
            subject = self._property(keys, fields.property_number)
            table = operators.NUMBER_OPERATORS
            parts.append(self._tested(subject, table, tests.number, f"{field}.number"))
        if tests.boolean:
            subject = self._property(keys, fields.property_boolean)
            subject = dataclasses.replace(subject, written=operators.WRITTEN)
            table = operators.BOOLEAN_OPERATORS
            parts.append(self._tested(subject, table, tests.boolean, f"{field}.boolean"))
        if not parts:
            raise bad_input(field, "needs one of string, number, boolean")
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
        others = self._rows.beside()
        others.conditions.append(f"name = {others.bind('String', tests.event)}")
        others.add_range(self._span)
        others.conditions.append("user_id != ''")
        if tests.where:
            others.conditions.append(self.tree(tests.where, f"{field}.where", depth + 1))
        count = tests.count if tests.count and any(_given(tests.count)) else NumberFilter(gte=1)
        table = operators.NUMBER_OPERATORS
        at_all = self._tested(_Subject("toFloat64(count())"), table, count, f"{field}.count")
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

    def _property(
        self, keys: Sequence[str], value: Callable[[Slots, Sequence[str]], str]
    ) -> _Subject:
        return _Subject(
            value(self._rows.slots, keys),
            is_set=fields.property_is_set(self._rows.slots, keys),
            passes=lambda test: f"ifNull({test}, 0)",
            has=functools.partial(fields.property_has, self._rows.slots, keys),
        )

    def _texts(self, subject: _Subject, tests: StringFilter, field: str) -> str:
        if tests.case_sensitive is False:
            return self._tested(subject, operators.ANY_CASE_OPERATORS, tests, field)
        subject = dataclasses.replace(subject, written=operators.WRITTEN)
        return self._tested(subject, operators.STRING_OPERATORS, tests, field)

    def _tested(self, subject: _Subject, table: Operators, tests: Tests, field: str) -> str:
        """Compile every test that is given, of one value."""
        return _joined(
            [
                self._one(subject, table, (operator, value), f"{field}.{_shown(operator)}")
                for operator, value in _given(tests)
            ]
        )

    def _one(self, subject: _Subject, table: Operators, test: tuple[str, Any], field: str) -> str:
        self._count(field)
        operator, given = test
        positive = operators.NEGATIVE.get(operator, operator)
        written = ""
        if operator == "is_set":
            condition = subject.is_set
        else:
            type_name, template = table[positive]
            slot = self._bound(positive, type_name, given, field)
            condition = subject.passes(template.format(column=subject.value, value=slot))
            if positive in subject.written:
                written = msgspec.json.encode(given).decode()[subject.written[positive]]
        if subject.has:
            condition = f"({subject.has(written)} AND {condition})"
        is_positive = given if operator == "is_set" else positive == operator
        return condition if is_positive else f"NOT ({condition})"

    def _bound(self, operator: str, type_name: str, given: Any, field: str) -> str:  # noqa: ANN401
        if isinstance(given, list):
            self._check_items(given, field)
        if type_name.endswith(("Float64", "Float64)")):
            given = _doubles(given, field)
        if isinstance(given, bool):
            given = int(given)
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


def _optional(column: str) -> _Subject:
    """Return a column in which no text means that there is none."""
    is_set = f"{column} != ''"
    return _Subject(column, is_set, lambda test: f"({is_set} AND {test})")


def _joined(conditions: Sequence[str]) -> str:
    return f"({' AND '.join(conditions)})" if len(conditions) > 1 else "".join(conditions) or _TRUE


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
