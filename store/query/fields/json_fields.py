"""Tags and properties of a row: expressions over their JSON, the keys of which are bound.

They rely on that JSON being ours: compact, each key once, texts as `msgspec` writes them. Measured
on 2 million events of 140 bytes and tags of 46, in ms of CPU: one property by JSONExtractRaw 670,
by JSON_VALUE 640, by JSONType and JSONExtractFloat 950, by simpleJSONExtractRaw 196, but that finds
a key at any depth. So a property is read once, as its raw text, and all else is made of that: an
expression that a statement has several times the engine evaluates once.
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

# Of a key that begins like this, `":"a":` could be found where a text ends.
_STRUCTURAL: Final = (":", ",", "}")
_ESCAPABLE: Final = ("\\", ".", "[")
ITEMS: Final = "[]"
# A number, or a text that is written like one, with spaces around it or none.
_NUMBER_TEXT: Final = r"""'^"? *(-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?) *"?$'"""

# An integer beyond 64 bits the engine's text has in quotes; of texts only few pass the quick test.
_MAY_BE_NUMBER: Final = """{raw} BETWEEN '"-' AND '":'"""
_IS_DIGITS: Final = """match({raw}, '^"-?[0-9]{{19,}}"$')"""


def keys_of(path: str, field: str) -> tuple[str, ...]:
    r"""Split a path at its dots; `\.` is a dot and `\\` a backslash.

    A JSON key may be the empty text, so the path "" is that key, and `a.` is the same key in `a`.
    Raises `AnalyticsError` that names `field` when it is no path, or leads into an array.
    """
    keys = _split_path(path, field)
    if any(key.is_array for key in keys):
        message = r"can't be of the items of an array; `[]` that ends a key is written \[]"
        raise bad_input(field, message)
    return tuple(key.name for key in keys)


def split_at_array(path: str, field: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Split a path that leads into an array, `a.tags[].name`, in two; None if it doesn't."""
    keys = _split_path(path, field)
    array_ends = [end for end, key in enumerate(keys, 1) if key.is_array]
    if not array_ends:
        return None
    if len(array_ends) > 1:
        raise bad_input(field, "can lead into one array only")
    names = tuple(key.name for key in keys)
    return names[: array_ends[0]], names[array_ends[0] :]


class _PathKey(NamedTuple):
    """A key on a path. `is_array`: what follows is of each item of the array that is there."""

    name: str
    is_array: bool


def _split_path(path: str, field: str) -> list[_PathKey]:
    if len(path) > MAX_KEY_CHARACTERS:
        raise bad_input(
            field, f"must be at most {MAX_KEY_CHARACTERS} characters", limit=MAX_KEY_CHARACTERS
        )
    keys = [""]
    plain_starts = [0]  # since where a key has nothing that was escaped
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
    """Return the value of a tag: a String, empty if there is none."""
    exact = f"JSONExtractString(tags, {slots.bind('String', key)})"
    return _with_quick_path(slots, key, "simpleJSONExtractString", exact)


def tag_raw(slots: Slots, key: str) -> str:
    """Return the value of a tag as JSON, as it is stored: a String, empty if there is none.

    By a regular expression: JSONExtractRaw would write some characters in another way.
    """
    text = r'"(?:[^"\\]|\\.)*"'
    pattern = rf"^\{{(?:{text}:{text},)*{re.escape(_json(key))}:({text})"
    return _with_quick_path(
        slots, key, "simpleJSONExtractRaw", f"extract(tags, {slots.bind('String', pattern)})"
    )


def tag_is_set(slots: Slots, key: str) -> str:
    """Return whether there is a tag."""
    return f"{tag_raw(slots, key)} != ''"


def may_have_tag(slots: Slots, key: str, json_prefix: str = "") -> str:
    """Return whether a tag may be there, with a value whose JSON begins with `written`.

    It only looks for the text, many times as fast as reading: to be asked before an exact test.
    """
    return _contains_key(slots, "tags", key, json_prefix)


def may_have_property(slots: Slots, keys: Sequence[str], json_prefix: str = "") -> str:
    """Return whether a property may be there, as `tag_has` does."""
    return _contains_key(slots, "properties", keys[-1], json_prefix)


def may_have_property_starting(slots: Slots, keys: Sequence[str], first_characters: str) -> str:
    """Return whether a property may be there with JSON that begins with one of some characters."""
    texts = [f"{_json(keys[-1])}:{character}" for character in first_characters]
    return f"multiSearchAny(properties, {slots.bind('Array(String)', texts)})"


def property_text(slots: Slots, keys: Sequence[str]) -> str:
    """Return the text at a path: Nullable(String), NULL unless it is a JSON string.

    An integer beyond 64 bits is a text, too, but for `property_is_large`.
    """
    # What is behind a quick look the engine evaluates at each place where it stands: the raw text
    # must stand here once. (With two it took 1,400 ms instead of 830.)
    return f"JSONExtract(extract({_raw(slots, keys)}, '^\".*'), 'Nullable(String)')"


def property_number(slots: Slots, keys: Sequence[str]) -> str:
    """Return the number at a path, of any size, infinite beyond all doubles; or NULL.

    For filters: each branch has the raw text once, but for rows that also have a text under the
    same key, and an integer that may be beyond 64 bits, which the engine quotes.
    """
    raw = _raw(slots, keys)
    pattern = slots.bind("String", f"{re.escape(_json(keys[-1]))}:-?[0-9]{{19}}")
    exact = property_any_number(slots, keys)
    has_text = may_have_property(slots, keys, '"')
    exact_if_long = f"if(match(properties, {pattern}), {exact}, toFloat64OrNull({raw}))"
    return f"if({has_text}, {exact_if_long}, {_large(raw)})"


def property_is_large(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether there is an integer beyond 64 bits at a path, which the engine quotes."""
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

    With `cast` texts are numbers, too, if they are written as JSON writes numbers.
    """
    raw = _raw(slots, keys)
    if cast:
        return as_number(raw)
    is_integer_at = is_integer("properties", _bind_keys(slots, keys))
    is_large = f"{_IS_DIGITS.format(raw=raw)} AND {is_integer_at}"
    large = f"if({is_large}, {_large(raw)}, NULL)"
    return f"if({_MAY_BE_NUMBER.format(raw=raw)}, {large}, toFloat64OrNull({raw}))"


def _large(raw: str) -> str:
    """Return the number that JSON is, or the integer in quotes."""
    return f"toFloat64OrNull(trimBoth({raw}, '\"'))"


def as_number(json: str) -> str:
    """Return the number that JSON is, or that a text in it is written as: Nullable(Float64)."""
    return f"toFloat64OrNull(extract({json}, {_NUMBER_TEXT}))"


def property_double(
    slots: Slots, keys: Sequence[str], cast: bool = False, *, wide: bool = True
) -> str:
    """Return the number at a path that a double can hold: Nullable(Float64).

    Unless `wide` it throws where there may be an integer beyond 64 bits.
    """
    number = property_any_number(slots, keys, cast)
    if not wide and not cast:
        raw = _raw(slots, keys)
        is_large = f"{_MAY_BE_NUMBER.format(raw=raw)} AND throwIf({_IS_DIGITS.format(raw=raw)})"
        number = f"if({is_large}, NULL, toFloat64OrNull({raw}))"
    return f"nullIf(nullIf({number}, inf), -inf)"


def property_boolean(slots: Slots, keys: Sequence[str]) -> str:
    """Return the boolean at a path: Nullable(UInt8), NULL unless it is true or false."""
    raw = _raw(slots, keys)
    return f"multiIf({raw} = 'true', 1, {raw} = 'false', 0, NULL)"


def property_is_set(slots: Slots, keys: Sequence[str]) -> str:
    """Return whether there is anything at a path but null."""
    return f"{_raw(slots, keys)} NOT IN ('', 'null')"


def property_group(
    slots: Slots, keys: Sequence[str], column: str = "properties", *, wide: bool = True
) -> str:
    """Return a String that is equal for equal values: canonical JSON, or '' for null and none.

    667, 667.0 and 6.67e2 are equal; objects are only if their keys are in the same order. Unless
    `wide` it throws where there may be a number with many digits.
    """
    path = _bind_keys(slots, keys)
    if not wide:
        return narrow_canonical(_raw(slots, keys, column))
    return canonical(_raw(slots, keys, column), column, path)


def canonical_values(slots: Slots, texts: Sequence[str]) -> str:
    """Return the groups of values that are given as JSON: an Array(String)."""
    documents = slots.bind("Array(String)", [f'{{"v":{text}}}' for text in texts])
    return f"arrayMap(doc -> {property_group(slots, ('v',), 'doc')}, {documents})"


def _with_quick_path(slots: Slots, key: str, function: str, exact: str) -> str:
    r"""Find a tag by its text, and exactly only in rows with a backslash anywhere.

    There the text could mislead (in `"a\"key":` it ends another tag's key), and the engine's quick
    functions take a value that ends in `\\` for none. A third of the time of always reading it.
    """
    if not key or key.startswith(_STRUCTURAL):
        return exact
    quick = f"{function}(tags, {slots.bind('String', _json(key)[1:-1])})"
    return f"if(position(tags, '\\\\') = 0, {quick}, {exact})"


def _contains_key(slots: Slots, column: str, key: str, json_prefix: str) -> str:
    return f"position({column}, {slots.bind('String', f'{_json(key)}:{json_prefix}')}) > 0"


def property_items(slots: Slots, path: tuple[Sequence[str], Sequence[str]]) -> str:
    """Return the items of an array, each once, as canonical JSON: an Array(String)."""
    array_keys, item_path = path
    return canonical_items(
        "properties", _bind_keys(slots, array_keys), _bind_keys(slots, item_path)
    )


def property_instant(slots: Slots, keys: Sequence[str]) -> str:
    """Return the instant that a text at a path is, in half milliseconds; NULL if it is none."""
    return half_milliseconds(property_text(slots, keys))


def _raw(slots: Slots, keys: Sequence[str], column: str = "properties") -> str:
    """Return the JSON of a property as the engine writes it: 667 for 667.0."""
    return f"JSONExtractRaw({', '.join([column, *_bind_keys(slots, keys)])})"


def _bind_keys(slots: Slots, keys: Sequence[str]) -> list[str]:
    return [slots.bind("String", key) for key in keys]


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
