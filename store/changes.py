"""Names of rows that were recorded or deleted, for those who watch them."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

ChangedNames: TypeAlias = Mapping[str, AbstractSet[str] | None]
"""Names by table; None means any name."""

_MAX_NAMES: Final = 10_000
"""Names of a table from which on any name may have changed."""


class Changes:
    """The names of metrics and of events whose rows changed since they were taken last."""

    def __init__(self) -> None:
        """Collect nothing until somebody watches."""
        self.is_watched = False
        self._names: dict[str, set[str] | None] = {}

    def add(self, table: str, groups: Iterable[AbstractSet[str] | None]) -> None:
        """Add the names of groups of rows of a table that changed; None means any name."""
        if not self.is_watched:
            return
        for names in groups:
            known_names = self._names.setdefault(table, set())
            if known_names is None:
                return
            if names is None or len(known_names) + len(names) > _MAX_NAMES:
                self._names[table] = None
            else:
                known_names |= names

    def take(self) -> ChangedNames:
        """Return the names since the last call, and forget them."""
        names, self._names = self._names, {}
        return names
