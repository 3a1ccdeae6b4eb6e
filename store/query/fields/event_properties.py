"""Properties of one event, read in Python as filters read them in the engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from store.query.fields.json_fields import items_of, keys_of

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def property_reader(path: str, field: str) -> Callable[[bytes], bytes | None]:
    """Return what reads the value at a path as it was sent, as JSON; None if there is none.

    Raises `AnalyticsError` that names `field` when it is no path.
    """
    array = items_of(path, field)
    if array is None:
        keys = keys_of(path, field)
        return lambda properties: _at(properties, keys)
    before, inside = array
    return lambda properties: _items(_at(properties, before), inside)


def _at(json: bytes, keys: Sequence[str]) -> bytes | None:
    found: bytes | None = json
    for key in keys:
        if not found or not found.startswith(b"{"):
            return None
        members: Mapping[str, msgspec.Raw] = _OBJECT.decode(found)
        found = bytes(members[key]) if key in members else None
    return found


def _items(json: bytes | None, inside: Sequence[str]) -> bytes | None:
    if not json or not json.startswith(b"["):
        return None
    items: Iterable[bytes | None] = map(bytes, _ARRAY.decode(json))
    found = (_at(item, inside) for item in items if item)
    return b"[" + b",".join(item for item in found if item) + b"]"
