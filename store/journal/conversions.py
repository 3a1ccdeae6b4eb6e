"""Conversions of journal lines to the form of storage, which the engine does as it loads them."""

from enum import Flag
from typing import Final, NamedTuple, TypeAlias

_MAX_TAG_ORDERS: Final = 16

TagOrder: TypeAlias = tuple[str, ...]
"""The keys of tags, in the order of a line."""


class Times(Flag):
    """Unusual forms of times in lines. The usual form are milliseconds from 10^11 on."""

    TEXTS = 1
    """RFC 3339."""

    SMALL_NUMBERS = 2
    """Milliseconds below 10^11."""


NUMBERS: Final = Times(0)


class Conversions(NamedTuple):
    """The conversions that lines need.

    Tags that are not sorted have their keys in one of the `tag_orders`; None if they may have any.
    `has_projects` is true if a line may name a project other than the default one.
    """

    times: Times = NUMBERS
    tag_orders: frozenset[TagOrder] | None = frozenset()
    has_projects: bool = False

    def join(self, extra: "Conversions") -> "Conversions":
        """Return the conversions that two groups of lines need."""
        if self == extra:
            return self
        tag_orders = None
        if self.tag_orders is not None and extra.tag_orders is not None:
            tag_orders = self.tag_orders | extra.tag_orders
            if len(tag_orders) > _MAX_TAG_ORDERS:
                tag_orders = None
        has_projects = self.has_projects or extra.has_projects
        return Conversions(self.times | extra.times, tag_orders, has_projects)


STORED: Final = Conversions()
"""Lines with times in milliseconds and sorted tags."""

UNKNOWN: Final = Conversions(Times.TEXTS | Times.SMALL_NUMBERS, None, has_projects=True)
"""Lines of which nothing is known."""
