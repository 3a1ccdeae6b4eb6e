"""Slugs: the names of dashboards in addresses."""

import itertools
import re
import unicodedata
from collections.abc import Container
from typing import Final

MAX_SLUG: Final = 100
"""Characters of a slug."""

SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_ROOM_FOR_NUMBER: Final = 8


def free_slug(title: str, slugs: Container[str]) -> str:
    """Return the words of a title as a slug, with a number if there is such a slug already."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = _NO_WORD.sub("-", letters).strip("-")[: MAX_SLUG - _ROOM_FOR_NUMBER].strip("-")
    slug = words or "dashboard"
    candidates = itertools.chain([slug], (f"{slug}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in slugs)
