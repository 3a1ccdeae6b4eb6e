"""Everything that is stored: the journal that acknowledges, the engine that answers."""

from store.store import Store

__all__ = ["Store"]
