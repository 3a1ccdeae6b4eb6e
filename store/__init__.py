"""The store: the journal makes rows durable, the engine answers queries."""

from store.store import Store as Store
