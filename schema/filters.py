"""Filters of points and of events: input types of the GraphQL API."""

from __future__ import annotations

from enum import Enum

import strawberry

from schema.scalars import Instant, ReadableInstants


@strawberry.input(
    description=(
        "Tests of a text; all tests must hold, and null means no test. `neq`, `notIn`,"
        " `notContains` and `notMatches` are the exact opposites of `eq`, `in`, `contains` and"
        " `matches`. A missing value, or one that is no text, passes them and no other test."
    )
)
class StringFilter:
    eq: str | None = strawberry.field(default=None, description="Is equal to this.")
    neq: str | None = strawberry.field(default=None, description="Is not equal to this.")
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Is one of these, at most 1000."
    )
    not_in: list[str] | None = strawberry.field(
        default=None, description="Is none of these, at most 1000."
    )
    contains: str | None = strawberry.field(
        default=None, description="Contains this, compared character by character."
    )
    not_contains: str | None = strawberry.field(
        default=None, description="Does not contain this, compared character by character."
    )
    starts_with: str | None = strawberry.field(
        default=None, description="Begins with this, compared character by character."
    )
    ends_with: str | None = strawberry.field(
        default=None, description="Ends with this, compared character by character."
    )
    like: str | None = strawberry.field(
        default=None,
        description=(
            "Matches this pattern as a whole: `%` stands for any text, `_` for any character, and"
            r" `\\` before one of them for the character itself. At most 1000 characters."
        ),
    )
    matches: str | None = strawberry.field(
        default=None,
        description=(
            "Contains a match of this regular expression: RE2, at most 1000 characters. Only `^`"
            " and"
            " `$` anchor it. `.` matches any character, also a line break."
        ),
    )
    not_matches: str | None = strawberry.field(
        default=None,
        description="Contains no match of this regular expression, in the syntax of `matches`.",
    )
    is_set: bool | None = strawberry.field(
        default=None, description="Whether a value is present and not null, of any type."
    )
    case_sensitive: bool | None = strawberry.field(
        default=True,
        description="Whether all tests here distinguish upper and lower case, in any alphabet.",
    )


@strawberry.input(
    description=(
        "Tests of a number; all tests must hold, and null means no test. A missing value, or one"
        " that is no number, passes `neq` and `notIn`, and no other test. 667 and 667.0 are equal."
        " An argument is a double; an integer that no double represents is refused. Stored numbers"
        " are compared with all their digits."
    )
)
class NumberFilter:
    eq: float | None = strawberry.field(default=None, description="Is equal to this.")
    neq: float | None = strawberry.field(default=None, description="Is not equal to this.")
    in_: list[float] | None = strawberry.field(
        name="in", default=None, description="Is one of these, at most 1000."
    )
    not_in: list[float] | None = strawberry.field(
        default=None, description="Is none of these, at most 1000."
    )
    gt: float | None = strawberry.field(default=None, description="Is greater than this.")
    gte: float | None = strawberry.field(
        default=None, description="Is greater than or equal to this."
    )
    lt: float | None = strawberry.field(default=None, description="Is less than this.")
    lte: float | None = strawberry.field(default=None, description="Is less than or equal to this.")
    is_set: bool | None = strawberry.field(
        default=None, description="Whether a value is present and not null, of any type."
    )


@strawberry.input(description="Tests of a boolean. Any other value fails `eq`.")
class BooleanFilter:
    eq: bool | None = strawberry.field(default=None, description="Is equal to this.")
    is_set: bool | None = strawberry.field(
        default=None, description="Whether a value is present and not null, of any type."
    )


@strawberry.input(
    description=(
        "Tests of a value of any type. Arguments are JSON texts, which hold integers of any size;"
        " a JSON number in JavaScript has 53 bits. Values are equal as group keys are: 667 and"
        " 667.0"
        ' are equal, 1 and `"1"` are not, and objects only with their keys in the same order. Null'
        " is no value: see `isSet`."
    )
)
class JsonFilter:
    eq: str | None = strawberry.field(
        default=None, description='Is equal to this JSON text, like `[1, "a"]`.'
    )
    neq: str | None = strawberry.field(
        default=None, description="Is not equal to this JSON text, or is missing."
    )
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Is equal to one of these JSON texts, at most 1000."
    )
    not_in: list[str] | None = strawberry.field(
        default=None,
        description="Is equal to none of these JSON texts, at most 1000, or is missing.",
    )
    is_set: bool | None = strawberry.field(
        default=None, description="Whether a value is present and not null, of any type."
    )


@strawberry.enum(description="Type as which `number` also reads texts.")
class PropertyCast(Enum):
    NUMBER = strawberry.enum_value(
        "number",
        description=(
            "A text in the syntax of JSON numbers, like `-19.99` or `6.67e2`, counts as this"
            " number;"
            " spaces around it are ignored. `1,5`, `0x1f` and `.5` are no numbers."
        ),
    )


@strawberry.input(description="Tests of an instant; all tests must hold.")
class DateTimeFilter(ReadableInstants):
    gt: Instant | None = strawberry.field(default=None, description="Is after this.")
    gte: Instant | None = strawberry.field(default=None, description="Is at this or after.")
    lt: Instant | None = strawberry.field(default=None, description="Is before this.")
    lte: Instant | None = strawberry.field(default=None, description="Is at this or before.")


# No PropertyFilter: a tag's key is no path (`http.status` is one key), its value always a text.
@strawberry.input(description="Tests of one tag. Its value is always a text.")
class TagFilter:
    key: str = strawberry.field(
        description="Key of the tag, in full; a dot has no special meaning."
    )
    string: StringFilter = strawberry.field(description="Tests of the value.")


@strawberry.input(
    description=(
        "Tests of one property by the type of its value: at least one of `string`, `number`,"
        " `boolean`, `datetime` and `json`; all tests must hold. For the entries of an array"
        " (`tags[]`), one entry must pass all positive tests of a type, and every entry must pass"
        " the negative tests."
    )
)
class PropertyFilter:
    key: str = strawberry.field(
        description=(
            "Key of the property: `cart.total` is the key `total` in the object `cart`, `tags[]`"
            " each entry of the array `tags`, `items[].price` the `price` of each entry of `items`."
            " A dot in a key is written"
            r" `\\.`, a backslash `\\\\`, `[]` at its end `\\[]`. A key may be empty: `a.` is the"
            " empty key in `a`."
        )
    )
    string: StringFilter | None = strawberry.field(
        default=None, description="Tests of a text; only JSON strings pass."
    )
    number: NumberFilter | None = strawberry.field(
        default=None,
        description='Tests of a number; only JSON numbers pass, not `"12"` (but see `cast`).',
    )
    boolean: BooleanFilter | None = strawberry.field(
        default=None, description="Tests of a boolean; only true and false pass, not 1 and 0."
    )
    datetime: DateTimeFilter | None = strawberry.field(
        default=None,
        description="Tests of an instant; only RFC 3339 texts pass, with any offset.",
    )
    json: JsonFilter | None = strawberry.field(
        default=None, description="Tests of a value of any type, given as JSON text."
    )
    cast: PropertyCast | None = strawberry.field(
        default=None,
        description="Type as which `number` also reads texts; default: none, so that texts fail.",
    )


_LIMITS = " A filter has at most 500 tests, 20 nested levels, and 1000 entries in a list."


@strawberry.input(
    description="Conditions on points; all must hold. Without conditions every point passes."
    + _LIMITS
)
class MetricFilter:
    and_: list[MetricFilter] | None = strawberry.field(
        name="AND",
        default=None,
        description="All of these filters hold; an empty list always holds.",
    )
    or_: list[MetricFilter] | None = strawberry.field(
        name="OR",
        default=None,
        description="At least one of these filters holds; an empty list never holds.",
    )
    not_: MetricFilter | None = strawberry.field(
        name="NOT", default=None, description="This filter does not hold."
    )
    tag: TagFilter | None = strawberry.field(default=None, description="Tests of one tag.")
    value: NumberFilter | None = strawberry.field(default=None, description="Tests of the value.")
    time: DateTimeFilter | None = strawberry.field(default=None, description="Tests of the time.")


@strawberry.input(
    description="Conditions on events; all must hold. Without conditions every event passes."
    + _LIMITS
)
class EventFilter:
    and_: list[EventFilter] | None = strawberry.field(
        name="AND",
        default=None,
        description="All of these filters hold; an empty list always holds.",
    )
    or_: list[EventFilter] | None = strawberry.field(
        name="OR",
        default=None,
        description="At least one of these filters holds; an empty list never holds.",
    )
    not_: EventFilter | None = strawberry.field(
        name="NOT", default=None, description="This filter does not hold."
    )
    name: StringFilter | None = strawberry.field(default=None, description="Tests of the name.")
    time: DateTimeFilter | None = strawberry.field(default=None, description="Tests of the time.")
    user_id: StringFilter | None = strawberry.field(
        default=None, description="Tests of the user; an event may have none."
    )
    session_id: StringFilter | None = strawberry.field(
        default=None, description="Tests of the session; an event may have none."
    )
    property: PropertyFilter | None = strawberry.field(
        default=None, description="Tests of one property."
    )
    performed: PerformedFilter | None = strawberry.field(
        default=None,
        description=(
            "Condition on all events of the event's user, in the range of the query. An event"
            " without a user never passes. At most 10 in a filter; refused in a deletion."
        ),
    )


@strawberry.input(
    description="Users with events of a name: at least one event, or as many as `count` says."
)
class PerformedFilter:
    event: str = strawberry.field(description="Name of the events, in full.")
    where: EventFilter | None = strawberry.field(
        default=None, description="Filter of the events to count; default: all."
    )
    count: NumberFilter | None = strawberry.field(
        default=None,
        description="Number of the events; `{eq: 0}` selects users without such an event.",
    )


def required_names(where: EventFilter) -> frozenset[str]:
    """Return names of which events must have one to pass a filter; none if any name may pass."""
    parts = [where]
    while parts:
        part = parts.pop(0)
        name = part.name
        if name and name.case_sensitive is not False and (name.eq is not None or name.in_):
            return frozenset(name.in_ or ()) if name.eq is None else frozenset({name.eq})
        parts = [*(part.and_ or ()), *parts]
    return frozenset()


def scanned_names(where: EventFilter) -> frozenset[str] | None:
    """Return the names of the events that decide about a filter; None if all may."""
    parts = [where]
    while parts:
        part = parts.pop()
        if part.performed is not None:
            return None
        parts += [*(part.and_ or ()), *(part.or_ or ()), *([part.not_] if part.not_ else ())]
    return required_names(where) or None
