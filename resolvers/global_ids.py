"""Relay global ids of objects with a name: metrics, event types and dashboards."""

import base64
import binascii
from typing import Final

import strawberry

METRIC: Final = "metric"
EVENT_TYPE: Final = "eventType"
DASHBOARD: Final = "dashboard"


def global_id(kind: str, name: str) -> strawberry.ID:
    """Return the id of an object with a name: `metric:` and the name in base64url, say."""
    text = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return strawberry.ID(f"{kind}:{text}")


def name_from_id(kind: str, text: str) -> str | None:
    """Return the name in a global id of this kind; None for any other text."""
    encoded_name = text.removeprefix(f"{kind}:")
    try:
        padded_name = encoded_name.encode("ascii") + b"=" * (-len(encoded_name) % 4)
        name = base64.b64decode(padded_name, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return name if global_id(kind, name) == text else None
