"""Tags and properties of a row: expressions over the stored JSON, with keys in slots.

The expressions rely on the stored form: compact JSON, each key once, texts written by `msgspec`.

CPU time on 2 million events of 140 bytes, with tags of 46, for one property: JSONExtractRaw 670 ms,
JSON_VALUE 640, JSONType with JSONExtractFloat 950, simpleJSONExtractRaw 196. The last one finds a
key at any depth. So a property is read once, as raw text, and every other expression is built on
it: the engine evaluates an expression once that occurs several times in a statement.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from schema.errors import bad_input
from store.query.fields.canonical_json import (
    canonical,
    canonical_items,
    is_integer,
    narrow_canonical,
)
from store.query.fields.instant_texts import half_milliseconds
from store.query.sql import Slots

MAX_KEY_CHARACTERS: Final = 1000
MAX_PATH_DEPTH: Final = 20

# With a first character of these, a search for the key could match at the end of a text.
_STRUCTURAL: Final = (":", ",", "}")
_ESCAPABLE: Final = ("\\", ".", "[")
ITEMS: Final = "[]"
# A number, or a text of a number with optional spaces around it.
_NUMBER_TEXT: Final = r"""'^"? *(-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?) *"?$'"""

# The engine quotes integers beyond 64 bits. Few other texts pass the first, quick test.
_MAY_BE_NUMBER: Final = """{raw} BETWEEN '"-' AND '":'"""
_IS_DIGITS: Final = """match({raw}, '^"-?[0-9]{{19,}}"$')"""


def keys_of(path: str, field: str) -> tuple[str, ...]:
    r"""Split a path at its dots into keys; `\.` is a dot and `\\` a backslash.

    A JSON key may be the empty text: the path "" is the empty key, and `a.` the empty key in `a`.
    Raises `AnalyticsError` that names `field` for a bad path, or a path into an array.
    """
    keys = _split_path(path, field)
    if any(key.is_array for key in keys):
        message = r"can't be of the items of an array; `[]` that ends a key is written \[]"
        raise bad_input(field, message)
    return tuple(key.name for key in keys)


def split_at_array(path: str, field: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Split a path like `a.tags[].name` into the keys to the array and the keys in an item.

    Return None for a path without an array. Raises `AnalyticsError` that names `field`.
    """
    keys = _split_path(path, field)
    array_ends = [end for end, key in enumerate(keys, 1) if key.is_array]
    if not array_ends:
        return None
    if len(array_ends) > 1:
        raise bad_input(field, "can lead into one array only")
    names = tuple(key.name for key in keys)
    return names[: array_ends[0]], names[array_ends[0] :]


class _PathKey(NamedTuple):
    """A key on a path; with `is_array` the next keys are looked up in each item."""

    name: str
    is_array: bool


def _split_path(path: str, field: str) -> list[_PathKey]:
    if len(path) > MAX_KEY_CHARACTERS:
        raise bad_input(
            field, f"must be at most {MAX_KEY_CHARACTERS} characters", limit=MAX_KEY_CHARACTERS
        )
    keys = [""]
    plain_starts = [0]  # the index after the last escaped character of each key
    characters = iter(path)
    for character in characters:
        if character == ".":
            keys.append("")
            plain_starts.append(0)
        elif character != "\\":
            keys[-1] += character
        elif (escaped_character := next(characters, "")) in _ESCAPABLE:
            keys[-1] += escaped_character
            plain_starts[-1] = len(keys[-1])
        else:
            raise bad_input(field, r"a backslash must be written \\, a dot in a key \.")
    if len(keys) > MAX_PATH_DEPTH:
        raise bad_input(field, f"is more than {MAX_PATH_DEPTH} keys deep", limit=MAX_PATH_DEPTH)
    return [
        _PathKey(key.removesuffix(ITEMS), is_array=True)
        if key[start:].endswith(ITEMS)
        else _PathKey(key, is_array=False)
        for key, start in zip(keys, plain_starts, strict=True)
    ]


def tag_text(slots: Slots, key: str) -> str:
    """Return the value of a tag: a String, empty for a missing tag."""
    exact = f"JSONExtractString(tags, {slots.bind('String', key)})"
    return _with_quick_path(slots, key, "simpleJSONExtractString", exact)


def tag_raw(slots: Slots, key: str) -> str:
    """Return the stored JSON of a tag's value: a String, empty for a missing tag.

    A regular expression extracts it, because JSONExtractRaw rewrites some characters.
    """
    text = r'"(?:[^"\\]|\\.)*"'
    pattern = rf"^\{{(?:{text}:{text},)*{re.escape(_json(key))}:({text})"
    return _with_quick_path(
        slots, key, "simpleJSONExtractRaw", f"extract(tags, {slots.bind('String', pattern)})"
    )


def tag_is_set(slots: Slots, key: str) -> str:
    """Return whether a tag is set."""
    return f"{tag_raw(slots, key)} != ''"


def may_have_tag(slots: Slots, key: str, json_prefix: str = "") -> str:
    """Return whether a tag may be set, to a value whose JSON begins with `json_prefix`.

    A text search, many times as fast as parsing. An exact test must follow it.
    """
    return _contains_key(slots, "tags", key, json_prefix)


def may_have_property(slots: Slots, keys: Sequence[str], json_prefix: str = "") -> str:
    """Return whether a property may be set, to a value whose JSON begins with `json_prefix`."""
    return _contains_key(slots, "properties", keys[-1], json_prefix)


def may_have_property_starting(slots: Slots, keys: Sequence[str], first_characters: str) -> str:
    """Return whether a property may be set, to JSON with one of these first characters."""
    texts = [f"{_json(keys[-1])}:{character}" for character in first_characters]
    return f"multiSearchAny(properties, {slots.bind('Array(String)', texts)})"


def property_text(slots: Slots, keys: Sequence[str]) -> str:
    """Return the text at a path: Nullable(String), NULL unless it is a JSON string.

    An integer beyond 64 bits is returned as a text, too; `property_is_large` finds it.
    """
    # After a quick search the engine evaluates each occurrence of an expression. So the raw text
    # occurs once: with two occurrences it took 1,400 ms instead of 830.
    return f"JSONExtract(extract({_raw(slots, keys)}, '^\".*'), 'Nullable(String)')"


def property_number(slots: Slots, keys: Sequence[str]) -> str:
    """Return the number at a path for a filter: of any size, infinite beyond all doubles; or NULL.

    Each branch has the raw text once, as in `property_text`. The exception are rows with a text
    under the same key and an integer that may be beyond 64 bits, which the engine quotes.
    """
    raw = _raw(slots, keys)
    pattern = slots.bind("String", f"{re.escape(_json(keys[-1]))}:-?[0-9]{{19}}")
    exact = property_any_number(slots, keys)
    has_text = may_have_property(slots, keys, '"')
    exact_if_long = f"if(match(properties, {pattern}), {exact}, toFloat64OrNull({raw}))"
    return f"if({has_text}, {exact_if_long}, {_large(raw)})"


def property_is_large(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether the value at a path is an integer beyond 64 bits, which the engine quotes."""
    key = _json(keys[-1])
    key_count, text_count = (
        f"countSubstrings(properties, {slots.bind('String', f'{key}:{json_prefix}')})"
        for json_prefix in ("", '"')
    )
    raw = _raw(slots, keys)
    exact = is_integer("properties", _bind_keys(slots, keys))
    return f"({key_count} > {text_count} AND startsWith({raw}, '\"') AND {exact})"


def property_any_number(slots: Slots, keys: Sequence[str], cast: bool = False) -> str:
    """Return the number at a path, of any size, infinite beyond all doubles; or NULL.

    With `cast` a text counts as a number if it is written like a JSON number.
    """
    raw = _raw(slots, keys)
    if cast:
        return as_number(raw)
    is_integer_at = is_integer("properties", _bind_keys(slots, keys))
    is_large = f"{_IS_DIGITS.format(raw=raw)} AND {is_integer_at}"
    large = f"if({is_large}, {_large(raw)}, NULL)"
    return f"if({_MAY_BE_NUMBER.format(raw=raw)}, {large}, toFloat64OrNull({raw}))"


def _large(raw: str) -> str:
    """Return the number of a JSON number, or of an integer in quotes."""
    return f"toFloat64OrNull(trimBoth({raw}, '\"'))"


def as_number(json: str) -> str:
    """Return the number of a JSON number, or of a JSON text of a number: Nullable(Float64)."""
    return f"toFloat64OrNull(extract({json}, {_NUMBER_TEXT}))"


def property_double(
    slots: Slots, keys: Sequence[str], cast: bool = False, *, long_numbers: bool = True
) -> str:
    """Return the number at a path as a finite double: Nullable(Float64).

    Without `long_numbers` the statement throws at a value that may be an integer beyond 64 bits.
    """
    number = property_any_number(slots, keys, cast)
    if not long_numbers and not cast:
        raw = _raw(slots, keys)
        is_large = f"{_MAY_BE_NUMBER.format(raw=raw)} AND throwIf({_IS_DIGITS.format(raw=raw)})"
        number = f"if({is_large}, NULL, toFloat64OrNull({raw}))"
    return f"nullIf(nullIf({number}, inf), -inf)"


def property_boolean(slots: Slots, keys: Sequence[str]) -> str:
    """Return the boolean at a path: Nullable(UInt8), NULL unless it is true or false."""
    raw = _raw(slots, keys)
    return f"multiIf({raw} = 'true', 1, {raw} = 'false', 0, NULL)"


def property_is_set(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether the value at a path is set and not null."""
    return f"{_raw(slots, keys)} NOT IN ('', 'null')"


def property_group(
    slots: Slots, keys: Sequence[str], column: str = "properties", *, long_numbers: bool = True
) -> str:
    """Return a String that is equal for equal values: canonical JSON, '' for null or no value.

    667, 667.0 and 6.67e2 are equal. Objects are equal only with their keys in the same order.
    Without `long_numbers` the statement throws at a value that may have a number with many digits.
    """
    path = _bind_keys(slots, keys)
    if not long_numbers:
        return narrow_canonical(_raw(slots, keys, column))
    return canonical(_raw(slots, keys, column), column, path)


def canonical_values(slots: Slots, texts: Sequence[str]) -> str:
    """Return the canonical texts of JSON values: an Array(String)."""
    documents = slots.bind("Array(String)", [f'{{"v":{text}}}' for text in texts])
    return f"arrayMap(doc -> {property_group(slots, ('v',), 'doc')}, {documents})"


def _with_quick_path(slots: Slots, key: str, function: str, exact: str) -> str:
    r"""Find a tag by a text search, and by a parser in rows with a backslash.

    A backslash misleads the search: `"a\"key":` ends with another tag's key. The engine's quick
    functions also miss a value that ends in `\\`. The search takes a third of the parser's time.
    """
    if not key or key.startswith(_STRUCTURAL):
        return exact
    quick = f"{function}(tags, {slots.bind('String', _json(key)[1:-1])})"
    return f"if(position(tags, '\\\\') = 0, {quick}, {exact})"


def _contains_key(slots: Slots, column: str, key: str, json_prefix: str) -> str:
    return f"position({column}, {slots.bind('String', f'{_json(key)}:{json_prefix}')}) > 0"


def property_items(slots: Slots, path: tuple[Sequence[str], Sequence[str]]) -> str:
    """Return the distinct items of an array as canonical JSON: an Array(String)."""
    array_keys, item_path = path
    return canonical_items(
        "properties", _bind_keys(slots, array_keys), _bind_keys(slots, item_path)
    )


def property_instant(slots: Slots, keys: Sequence[str]) -> str:
    """Return the instant of the text at a path, in half milliseconds since 1970; or NULL."""
    return half_milliseconds(property_text(slots, keys))


def _raw(slots: Slots, keys: Sequence[str], column: str = "properties") -> str:
    """Return the JSON of a property as the engine writes it, for example 667 for 667.0."""
    return f"JSONExtractRaw({', '.join([column, *_bind_keys(slots, keys)])})"


def _bind_keys(slots: Slots, keys: Sequence[str]) -> list[str]:
    return [slots.bind("String", key) for key in keys]


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
