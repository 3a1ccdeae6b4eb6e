"""GraphQL documents and variables of a given size, for each limit of their sizes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schema import limits
from schema.limits import Limit


def copies(form: str, count: int) -> str:
    """Return copies of a text, with numbers in place of `#`."""
    return " ".join(form.replace("#", str(number)) for number in range(count))


def input_fields(count: int) -> str:
    """Return a mutation of five events with a number of fields of objects."""
    shares = [(count - 11 + index) // 5 for index in range(5)]  # events, five names, properties
    events = "".join(f'{{name:"e" properties:{{{copies("p#:1", n)}}}}}' for n in shares)
    return f"mutation{{recordEvents(input:{{events:[{events}]}}){{accepted}}}}"


def argument_values(count: int) -> str:
    """Return a query with a number of values, of which fields repeat the default of a variable."""
    uses, rest = divmod(count, 1000)  # 996 names, their list, the variable, two objects
    events = copies("e#:events(where:{name:{in:$v}}){totalCount}", uses)
    types = copies("t#:eventTypes(first:1){name}", rest)
    names = '"a" ' * 996
    return f"query($v:[String!]=[{names}]){{{events} {types}}}"


def selections(count: int) -> str:
    """Return a query with a number of selections, of which a fragment repeats most."""
    uses, rest = divmod(count - 1, 52)
    aliases = copies("h#:health{...F}", uses)
    fragment = f"fragment F on Health{{{copies('s#:status', 50)}}}"
    return f"{{{aliases} health{{{copies('s#:status', rest)}}}}}{fragment}"


def comparisons(count: int) -> str:
    """Return a query with sets of equal fields; each two fields take two comparisons."""
    sizes: list[int] = []
    while count:
        sizes.append(next(size for size in range(100, 1, -1) if size * (size - 1) <= count))
        count -= sizes[-1] * (sizes[-1] - 1)
    sets = (f"h{index}:health{{{'status ' * size}}}" for index, size in enumerate(sizes))
    return f"{{{' '.join(sets)}}}"


BUILDERS: Final[Mapping[Limit, Callable[[int], str]]] = {
    limits.DOCUMENT_BYTES: lambda n: f"{{health{{status}}}}#é{'a' * (n - 19)}",
    limits.DOCUMENT_TOKENS: lambda n: "{health{status}}" + "#\n" * (n - 6),
    limits.DOCUMENT_DEPTH: lambda n: (
        f'{{__type(name:"Query"){{{"ofType{" * (n - 2)}name{"}" * (n - 2)}}}}}'
    ),
    limits.OPERATIONS: lambda n: copies("query Q#{health{status}}", n),
    limits.FRAGMENTS: lambda n: (
        f"{{health{{{copies('...F#', n)}}}}}{copies('fragment F# on Health{h#:status}', n)}"
    ),
    limits.ALIASES: lambda n: f"{{health{{{copies('h#:status', n)}}}}}",
    limits.ALIAS_CHARACTERS: lambda n: f"{{{'h' * n}:health{{status}}}}",
    limits.DIRECTIVES: lambda n: f"{{health{{{copies('h#:status@skip(if:false)', n)}}}}}",
    limits.INPUT_FIELDS: input_fields,
    limits.ARGUMENT_VALUES: argument_values,
    limits.ROOT_FIELDS: lambda n: f"{{{copies('h#:health{status}', n)}}}",
    limits.SELECTIONS: selections,
    limits.EQUAL_FIELDS: lambda n: f"{{health{{{'status ' * n}}}}}",
    limits.COMPARISONS: comparisons,
    limits.INTROSPECTION_ROOTS: lambda n: f"{{{copies('s#:__schema{types{name}}', n)}}}",
    limits.INTROSPECTION_ALIASES: lambda n: f"{{__schema{{types{{{copies('t#:name', n)}}}}}}}",
}
"""For each limit of documents, a function that makes one of a given size."""

VARIABLES: Final[Mapping[Limit, Callable[[int], Any]]] = {
    limits.VARIABLE_BYTES: lambda n: {"v": "a" * (n - 8)},
    limits.VARIABLE_VALUES: lambda n: {"v": [0] * (n - 1)},
    limits.VARIABLE_OBJECTS: lambda n: {"v": [{}] * (n - 1)},
    limits.MEMBER_CHARACTERS: lambda n: {"v": {"k" * n: "a" * 70_000}},
}
"""For each limit of variables, a function that makes some of a given size."""
