"""Ids of what can be asked for again."""

import base64
import binascii
from typing import Final

import strawberry

METRIC: Final = "metric"
EVENT_TYPE: Final = "eventType"


def named_id(kind: str, name: str) -> strawberry.ID:
    """Return the id of something that has a name: `metric:` and the name in base64url."""
    text = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return strawberry.ID(f"{kind}:{text}")


def name_in(kind: str, text: str) -> str | None:
    """Return the name in such an id; None if it is none."""
    encoded = text.removeprefix(f"{kind}:")
    try:
        padded = encoded.encode("ascii") + b"=" * (-len(encoded) % 4)
        name = base64.b64decode(padded, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return name if named_id(kind, name) == text else None
