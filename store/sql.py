"""A SQL statement as a value, and the encoding of its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Value: TypeAlias = str | int | float | Sequence[str]

_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "\t": "\\t",
        "\n": "\\n",
        "\r": "\\r",
        "\0": "\\0",
        "\b": "\\b",
        "\f": "\\f",
    }
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: our own text with typed slots (`{name:String}`), and the slots' values.

    `reads` names the tables whose acknowledged rows must be visible before it runs.
    """

    text: str
    params: Mapping[str, Value] = field(default_factory=dict)
    reads: tuple[str, ...] = ()

    def encoded(self) -> dict[str, str]:
        """Return the values in the text form that the engine expects for a typed parameter."""
        return {name: encode(value) for name, value in self.params.items()}


def encode(value: Value) -> str:
    r"""Return one parameter as text.

    The engine reads a top-level String in tab-separated escaping: unescaped, a tab ends the value
    and `C:\temp` silently becomes `C:<tab>emp`. An array is read as a SQL literal.
    """
    match value:
        case str():
            return value.translate(_ESCAPES)
        case int() | float():
            return repr(value)
        case _:
            return "[" + ",".join(f"'{item.translate(_ESCAPES)}'" for item in value) + "]"
