"""Filters: which points and which events are meant."""

from __future__ import annotations

from enum import Enum

import strawberry

from schema.scalars import Instant, ReadableInstants


@strawberry.input(
    description=(
        "Tests of a text. All that are given must hold; null is as good as absent. What is not"
        " there (or no text) passes `neq`, `notIn`, `notContains` and `notMatches`, which are the"
        " exact opposites of their positives, and no other test."
    )
)
class StringFilter:
    eq: str | None = strawberry.field(default=None, description="Is equal.")
    neq: str | None = strawberry.field(default=None, description="Is not equal.")
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Is one of these, at most 1000."
    )
    not_in: list[str] | None = strawberry.field(
        default=None, description="Is none of these, at most 1000."
    )
    contains: str | None = strawberry.field(
        default=None, description="Has this somewhere, character by character."
    )
    not_contains: str | None = strawberry.field(
        default=None, description="Has this nowhere, character by character."
    )
    starts_with: str | None = strawberry.field(
        default=None, description="Begins with this, character by character."
    )
    ends_with: str | None = strawberry.field(
        default=None, description="Ends with this, character by character."
    )
    like: str | None = strawberry.field(
        default=None,
        description=(
            "Is as a whole like this pattern of at most 1000 characters: `%` stands for any text,"
            r" `_` for any character, `\\` before one of them for itself."
        ),
    )
    matches: str | None = strawberry.field(
        default=None,
        description=(
            "Has something that this regular expression matches: RE2, at most 1000 characters,"
            " anchored only by its own `^` and `$`; `.` is any character, a line break too."
        ),
    )
    not_matches: str | None = strawberry.field(
        default=None, description="Has nothing that this regular expression matches, as `matches`."
    )
    is_set: bool | None = strawberry.field(
        default=None, description="Whether it is there and not null, whatever its type."
    )
    case_sensitive: bool | None = strawberry.field(
        default=True,
        description="Whether all of these tests tell upper from lower case (of any alphabet).",
    )


@strawberry.input(
    description=(
        "Tests of a number. All that are given must hold; null is as good as absent. What is not"
        " there (or no number) passes `neq` and `notIn`, and no other test. 667 and 667.0 are"
        " equal. What is given is a double, and an integer that is none is refused; the number that"
        " is tested is compared digit by digit, however large it is."
    )
)
class NumberFilter:
    eq: float | None = strawberry.field(default=None, description="Is equal.")
    neq: float | None = strawberry.field(default=None, description="Is not equal.")
    in_: list[float] | None = strawberry.field(
        name="in", default=None, description="Is one of these, at most 1000."
    )
    not_in: list[float] | None = strawberry.field(
        default=None, description="Is none of these, at most 1000."
    )
    gt: float | None = strawberry.field(default=None, description="Is greater.")
    gte: float | None = strawberry.field(default=None, description="Is not less.")
    lt: float | None = strawberry.field(default=None, description="Is less.")
    lte: float | None = strawberry.field(default=None, description="Is not greater.")
    is_set: bool | None = strawberry.field(
        default=None, description="Whether it is there and not null, whatever its type."
    )


@strawberry.input(description="Tests of true and false; what is neither passes no `eq`.")
class BooleanFilter:
    eq: bool | None = strawberry.field(default=None, description="Is this.")
    is_set: bool | None = strawberry.field(
        default=None, description="Whether it is there and not null, whatever its type."
    )


@strawberry.input(
    description=(
        "Tests of a value of any type, which is given as JSON text: it carries integers of any"
        " size, where a JSON number in JavaScript has 53 bits. Values are equal as groups are: 667"
        ' and 667.0 are, 1 and `"1"` are not, objects only if their keys are in the same order.'
        " null is no value: see `isSet`."
    )
)
class JsonFilter:
    eq: str | None = strawberry.field(
        default=None, description='Is equal to this JSON, like `[1, "a"]`.'
    )
    neq: str | None = strawberry.field(default=None, description="Is not equal, or not there.")
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Is equal to one of these, at most 1000."
    )
    not_in: list[str] | None = strawberry.field(
        default=None, description="Is equal to none of these, at most 1000, or not there."
    )
    is_set: bool | None = strawberry.field(
        default=None, description="Whether it is there and not null, whatever its type."
    )


@strawberry.enum(description="What texts are taken for, besides what they are.")
class PropertyCast(Enum):
    NUMBER = strawberry.enum_value(
        "number",
        description=(
            "A text that is written as JSON writes numbers, like `-19.99` or `6.67e2`, is that"
            " number; spaces around it don't matter. `1,5`, `0x1f` and `.5` are none."
        ),
    )


@strawberry.input(description="Tests of an instant. All that are given must hold.")
class DateTimeFilter(ReadableInstants):
    gt: Instant | None = strawberry.field(default=None, description="Is after.")
    gte: Instant | None = strawberry.field(default=None, description="Is not before.")
    lt: Instant | None = strawberry.field(default=None, description="Is before.")
    lte: Instant | None = strawberry.field(default=None, description="Is not after.")


# Not a PropertyFilter: a tag's key is no path (`http.status` is one key), its value always a text.
@strawberry.input(description="Tests of one tag, whose value is always a text.")
class TagFilter:
    key: str = strawberry.field(description="Its whole key; a dot in it is a dot.")
    string: StringFilter = strawberry.field(description="Tests of its value.")


@strawberry.input(
    description=(
        "Tests of one property, by the type of its value: at least one of `string`, `number`,"
        " `boolean`, `datetime` and `json`. All that are given must hold. Of the items of an array"
        " (`tags[]`) one must pass all tests of a type that are not negative, and none may be what"
        " a negative test excludes."
    )
)
class PropertyFilter:
    key: str = strawberry.field(
        description=(
            "Its key; `cart.total` is the key `total` in the object `cart`, `tags[]` each item of"
            " the array `tags`, `items[].price` the `price` of each. A dot in a key is written"
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
        description="Tests of an instant; only RFC 3339 texts pass, whatever their offset.",
    )
    json: JsonFilter | None = strawberry.field(
        default=None, description="Tests of a value of any type, given as JSON text."
    )
    cast: PropertyCast | None = strawberry.field(
        default=None, description="What `number` takes texts for; null for texts."
    )


_LIMITS = " A filter can have 500 tests, 20 levels below it, 1000 entries in a list."


@strawberry.input(
    description="Which points. All that is given must hold; nothing given: all." + _LIMITS
)
class MetricFilter:
    and_: list[MetricFilter] | None = strawberry.field(
        name="AND", default=None, description="All of these hold; of none, always."
    )
    or_: list[MetricFilter] | None = strawberry.field(
        name="OR", default=None, description="At least one of these holds; of none, never."
    )
    not_: MetricFilter | None = strawberry.field(
        name="NOT", default=None, description="This does not hold."
    )
    tag: TagFilter | None = strawberry.field(default=None, description="One of its tags.")
    value: NumberFilter | None = strawberry.field(default=None, description="Its value.")
    time: DateTimeFilter | None = strawberry.field(
        default=None, description="When it was measured."
    )


@strawberry.input(
    description="Which events. All that is given must hold; nothing given: all." + _LIMITS
)
class EventFilter:
    and_: list[EventFilter] | None = strawberry.field(
        name="AND", default=None, description="All of these hold; of none, always."
    )
    or_: list[EventFilter] | None = strawberry.field(
        name="OR", default=None, description="At least one of these holds; of none, never."
    )
    not_: EventFilter | None = strawberry.field(
        name="NOT", default=None, description="This does not hold."
    )
    name: StringFilter | None = strawberry.field(default=None, description="What happened.")
    time: DateTimeFilter | None = strawberry.field(default=None, description="When it happened.")
    user_id: StringFilter | None = strawberry.field(
        default=None, description="Who did it; not every event has a user."
    )
    session_id: StringFilter | None = strawberry.field(
        default=None, description="In which session; not every event has one."
    )
    property: PropertyFilter | None = strawberry.field(
        default=None, description="One of its properties."
    )
    performed: PerformedFilter | None = strawberry.field(
        default=None,
        description=(
            "What its user did besides, in the range that is asked for; an event without a user"
            " never passes. At most 10 in a filter, and not to delete."
        ),
    )


@strawberry.input(description="Users who did something: at least once, unless `count` is given.")
class PerformedFilter:
    event: str = strawberry.field(description="The name of the event.")
    where: EventFilter | None = strawberry.field(
        default=None, description="Which of these events count; all if null."
    )
    count: NumberFilter | None = strawberry.field(
        default=None, description="How often; `{eq: 0}` are the users who never did it."
    )
