"""Keyed state that outlives a process: memory, SQLite and Redis behind one protocol."""

from seqstate.stores.opening import open_store
from seqstate.stores.store import Entry, Item, Store

__all__ = ["Entry", "Item", "Store", "open_store"]
