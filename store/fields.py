"""Tags and properties of a row: expressions over their JSON, the keys of which are bound.

They rely on that JSON being ours: compact, each key once, texts as `msgspec` writes them. Measured
on 2 million events of 140 bytes and tags of 46, in ms of CPU: one property by JSONExtractRaw 670,
by JSON_VALUE 640, by JSONType and JSONExtractFloat 950, by simpleJSONExtractRaw 196, but that finds
a key at any depth. So a property is read once, as its raw text, and all else is made of that: an
expression that a statement has several times the engine evaluates once.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from schema.errors import bad_input
from store.sql import Slots

MAX_KEY: Final = 1000
MAX_KEYS: Final = 20

# Of a key that begins like this, `":"a":` could be found where a text ends.
_STRUCTURAL: Final = (":", ",", "}")
_ESCAPED: Final = ("\\", ".")


def keys_of(path: str, field: str) -> tuple[str, ...]:
    r"""Split a path at its dots; `\.` is a dot and `\\` a backslash.

    A JSON key may be the empty text, so the path "" is that key, and `a.` is the same key in `a`.
    Raises `AnalyticsError` that names `field` when it is no path.
    """
    if len(path) > MAX_KEY:
        raise bad_input(field, f"must be at most {MAX_KEY} characters", limit=MAX_KEY)
    keys = [""]
    characters = iter(path)
    for character in characters:
        if character == ".":
            keys.append("")
        elif character != "\\":
            keys[-1] += character
        elif (escaped := next(characters, "")) in _ESCAPED:
            keys[-1] += escaped
        else:
            raise bad_input(field, r"a backslash must be written \\, a dot in a key \.")
    if len(keys) > MAX_KEYS:
        raise bad_input(field, f"is more than {MAX_KEYS} keys deep", limit=MAX_KEYS)
    return tuple(keys)


def tag_text(slots: Slots, key: str) -> str:
    """Return the value of a tag: a String, empty if there is none."""
    exact = f"JSONExtractString(tags, {slots.bind('String', key)})"
    return _quicker(slots, key, "simpleJSONExtractString", exact)


def tag_raw(slots: Slots, key: str) -> str:
    """Return the value of a tag as JSON, as it is stored: a String, empty if there is none.

    By a regular expression: JSONExtractRaw would write some characters in another way.
    """
    text = r'"(?:[^"\\]|\\.)*"'
    pattern = rf"^\{{(?:{text}:{text},)*{re.escape(_json(key))}:({text})"
    return _quicker(
        slots, key, "simpleJSONExtractRaw", f"extract(tags, {slots.bind('String', pattern)})"
    )


def tag_is_set(slots: Slots, key: str) -> str:
    """Return whether there is a tag."""
    return f"{tag_raw(slots, key)} != ''"


def tag_has(slots: Slots, key: str, written: str = "") -> str:
    """Return whether a tag may be there, with a value whose JSON begins with `written`.

    It only looks for the text, many times as fast as reading: to be asked before an exact test.
    """
    return _has(slots, "tags", key, written)


def property_has(slots: Slots, keys: Sequence[str], written: str = "") -> str:
    """Return whether a property may be there, as `tag_has` does."""
    return _has(slots, "properties", keys[-1], written)


def property_begins(slots: Slots, keys: Sequence[str], characters: str) -> str:
    """Return whether a property may be there with JSON that begins with one of some characters."""
    texts = [f"{_json(keys[-1])}:{character}" for character in characters]
    return f"multiSearchAny(properties, {slots.bind('Array(String)', texts)})"


def property_text(slots: Slots, keys: Sequence[str]) -> str:
    """Return the text at a path: Nullable(String), NULL unless it is a JSON string."""
    # What is behind a quick look the engine evaluates at each place where it stands: the raw text
    # must stand here once. (With two it took 1,400 ms instead of 830.)
    text = f"JSONExtract(extract({_raw(slots, keys)}, '^\".*'), 'Nullable(String)')"
    return f"if({_quoted(slots, keys)}, {text}, NULL)"


def property_number(slots: Slots, keys: Sequence[str]) -> str:
    """Return the number at a path: Nullable(Float64), NULL unless it is a JSON number."""
    raw = _raw(slots, keys)
    large = f"toFloat64OrNull({_digits(raw)})"
    return f"if({_quoted(slots, keys)}, toFloat64OrNull({raw}), {large})"


def property_boolean(slots: Slots, keys: Sequence[str]) -> str:
    """Return the boolean at a path: Nullable(UInt8), NULL unless it is true or false."""
    raw = _raw(slots, keys)
    return f"multiIf({raw} = 'true', 1, {raw} = 'false', 0, NULL)"


def property_is_set(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether there is anything at a path but null."""
    return f"{_raw(slots, keys)} NOT IN ('', 'null')"


def property_group(slots: Slots, keys: Sequence[str]) -> str:
    """Return a String that is equal for equal values: their JSON, or '' for null and none.

    667, 667.0 and 6.67e2 are equal; objects are only if their keys are in the same order.
    """
    raw = _raw(slots, keys)
    large = f"startsWith({raw}, '\"') AND NOT {_quoted(slots, keys)}"
    number = f"toString(toFloat64OrZero({_digits(raw)}))"
    return f"multiIf({raw} = 'null', '', {raw} = '-0', '0', {large}, {number}, {raw})"


def _quicker(slots: Slots, key: str, function: str, exact: str) -> str:
    r"""Find a tag by its text, and exactly only in rows with a backslash anywhere.

    There the text could mislead (in `"a\"key":` it ends another tag's key), and the engine's quick
    functions take a value that ends in `\\` for none. A third of the time of always reading it.
    """
    if not key or key.startswith(_STRUCTURAL):
        return exact
    quick = f"{function}(tags, {slots.bind('String', _json(key)[1:-1])})"
    return f"if(position(tags, '\\\\') = 0, {quick}, {exact})"


def _has(slots: Slots, column: str, key: str, written: str) -> str:
    return f"position({column}, {slots.bind('String', f'{_json(key)}:{written}')}) > 0"


def _raw(slots: Slots, keys: Sequence[str]) -> str:
    """Return the JSON of a property as the engine writes it: 667 for 667.0."""
    path = ", ".join(slots.bind("String", key) for key in keys)
    return f"JSONExtractRaw(properties, {path})"


def _quoted(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether a property that looks like a text can be one.

    The engine puts an integer beyond 64 bits in quotes; in our own JSON it has none. (If the same
    key has a text elsewhere in the event, such an integer still counts as a text.)
    """
    return property_has(slots, keys, '"')


def _digits(raw: str) -> str:
    return f"trimBoth({raw}, '\"')"


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
