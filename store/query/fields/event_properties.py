"""Properties of one event, read in Python by the paths that filters use in the engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from store.query.fields.json_fields import keys_of, split_at_array

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def property_reader(path: str, field: str) -> Callable[[bytes], bytes | None]:
    """Return a function from an event's properties to the JSON at a path, or None.

    The JSON is as the client sent it. Raises `AnalyticsError` that names `field` for a bad path.
    """
    array_path = split_at_array(path, field)
    if array_path is None:
        keys = keys_of(path, field)
        return lambda properties: _value_at(properties, keys)
    keys_to_array, item_path = array_path
    return lambda properties: _item_values(_value_at(properties, keys_to_array), item_path)


def _value_at(json: bytes, keys: Sequence[str]) -> bytes | None:
    value: bytes | None = json
    for key in keys:
        if not value or not value.startswith(b"{"):
            return None
        members: Mapping[str, msgspec.Raw] = _OBJECT.decode(value)
        value = bytes(members[key]) if key in members else None
    return value


def _item_values(array: bytes | None, item_path: Sequence[str]) -> bytes | None:
    if not array or not array.startswith(b"["):
        return None
    items: Iterable[bytes | None] = map(bytes, _ARRAY.decode(array))
    values = (_value_at(item, item_path) for item in items if item)
    return b"[" + b",".join(item for item in values if item) + b"]"
