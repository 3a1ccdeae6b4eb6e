"""A SQL statement as a value, and the encoding of its parameters."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

Value: TypeAlias = str | int | float | Sequence[str] | Sequence[int] | Sequence[float]

_ESCAPES: Final = (
    ("\\", "\\\\"),  # first: the others add some
    ("'", "\\'"),
    ("\t", "\\t"),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\0", "\\0"),
    ("\b", "\\b"),
    ("\f", "\\f"),
)


class Slots:
    """The values of a statement under construction; equal values share a slot.

    Each slot costs the engine 0.1 ms. Shared slots also keep equal expressions equal. `patterns`
    maps each slot of a regular expression to the request's field.
    """

    def __init__(self) -> None:
        self.params: dict[str, Value] = {}
        self.patterns: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}

    def bind(self, type_name: str, value: Value) -> str:
        """Add a value; return the typed slot that stands for it in the text."""
        return f"{{{self._slot_name(type_name, value)}:{type_name}}}"

    def bind_pattern(self, value: str, field: str) -> str:
        """Add a regular expression, to be checked before the statement runs; return its slot."""
        self.patterns.setdefault(self._slot_name("String", value), field)
        return self.bind("String", value)

    def _slot_name(self, type_name: str, value: Value) -> str:
        name = self._names.setdefault((type_name, encode(value)), f"p{len(self._names)}")
        self.params[name] = value
        return name

    def statement(self, text: str, scans: tuple["Scan", ...]) -> "Statement":
        """Return a statement with the values of the slots in its text, and the rows it scans."""
        slot_names = set(_SLOT.findall(text))
        params = {name: value for name, value in self.params.items() if name in slot_names}
        patterns = {name: field for name, field in self.patterns.items() if name in slot_names}
        return Statement(text, params, scans, patterns)


_SLOT: Final = re.compile(r"\{(p\d+):")


class Scan(NamedTuple):
    """Rows that a statement scans: of a table, of some names, in a half-open range (ms).

    None means all. If `name_limit` is set, the scan ends after so many names; with `stops_early` it
    ends at its first rows. `cells` is the number of values in the answer.
    """

    table: str
    names: frozenset[str] | None = None
    time_range: tuple[int, int] | None = None
    name_limit: int | None = None
    stops_early: bool = False
    cells: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: text with typed slots (`{name:String}`), and the values of the slots.

    `scans` are the rows that it reads; those that are acknowledged must be visible before it runs.
    `patterns` maps each slot of a regular expression to the request's field.
    """

    text: str
    params: Mapping[str, Value] = field(default_factory=dict)
    scans: tuple[Scan, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)

    @property
    def names_by_table(self) -> Mapping[str, frozenset[str] | None]:
        """The names that the statement reads of each table; None means all."""
        names: dict[str, frozenset[str] | None] = {}
        for scan in self.scans:
            known_names = names.get(scan.table, frozenset())
            is_all = scan.names is None or known_names is None
            names[scan.table] = None if is_all else known_names | scan.names  # type: ignore[operator] # neither is None
        return names

    def for_console(self) -> str:
        """Return text that can be pasted into a ClickHouse console."""
        values = [f"SET param_{name} = {_literal(text)};" for name, text in self.encode().items()]
        return "\n".join([*values, self.text])

    def encode(self) -> dict[str, str]:
        """Return the values in the text form that the engine expects for a typed parameter."""
        return {name: encode(value) for name, value in self.params.items()}


def encode(value: Value) -> str:
    r"""Return one parameter as text.

    The engine reads a top-level String in tab-separated escaping: unescaped, a tab ends the value
    and `C:\temp` silently becomes `C:<tab>emp`. An array is read as a SQL literal.
    """
    match value:
        case str():
            return _escape(value)
        case int() | float():
            return repr(value)
        case _:
            return "[" + ",".join(map(_literal, value)) + "]"


def _literal(item: str | float) -> str:
    return f"'{_escape(item)}'" if isinstance(item, str) else repr(item)


def _escape(text: str) -> str:
    """Escape a text. `str.translate` takes 60 ns for a character that is not ASCII, or escaped."""
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text
