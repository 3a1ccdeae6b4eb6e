"""Expressions over one item of an array: canonical JSON under the name `item`."""

from typing import Final

from store.query.fields.instant_texts import half_milliseconds
from store.query.fields.json_fields import as_number

ITEM: Final = "item"

NUMBER: Final = f"toFloat64OrNull({ITEM})"

_TEXT: Final = f"if(startsWith({ITEM}, '\"'), JSONExtractString({ITEM}), NULL)"

VALUES: Final = {
    "string": _TEXT,
    "number": NUMBER,
    "cast_number": as_number(ITEM),
    "boolean": f"multiIf({ITEM} = 'true', 1, {ITEM} = 'false', 0, NULL)",
    "datetime": half_milliseconds(_TEXT),
    "json": ITEM,
}
"""The expression of an item for each member of a property's filter."""
