"""Group keys of a series answer: their names, and the groups that they identify."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tests.harness.panels import Band
from tests.oracle.aggregates import identity

KEY_TYPES: Final = {
    "str": "STRING",
    "number": "NUMBER",
    "bool": "BOOLEAN",
    "array": "ARRAY",
    "object": "OBJECT",
}
"""The `PropertyType` of a group key's value, by the kind of its identity."""


def key_name(key: Any) -> str:
    """Return the name of a group key in an answer."""
    return key.property if isinstance(key, Band) else str(key).removeprefix("=")


def matches_key(key: Any, value: Any, answer: Mapping[str, Any]) -> bool:
    """Say whether a group key of an answer has the text and the type of a group's value."""
    text = answer["value"]
    if value is None or text is None:
        return value is None and text is None and answer["type"] is None
    kind, content = value
    if isinstance(key, Band):
        return answer["type"] == "NUMBER" and _is_band_label(key, int(content), text)
    if answer["type"] != KEY_TYPES[kind]:
        return False
    if kind == "str":
        return bool(text == content)
    try:
        return bool(identity(json.loads(text)) == value)
    except ValueError:
        return False


def _is_band_label(key: Band, index: int, label: str) -> bool:
    """Say whether a label describes a band: `< 1`, `[1, 2)`, `>= 2`."""
    sign = "<" if index == 0 else ">=" if index == len(key.bounds) else "["
    bounds = [float(text) for text in re.findall(r"-?[\d.e+-]+", label)]
    return label.startswith(sign) and bounds == [*key.bounds[max(0, index - 1) : index + 1]]
