"""Everything that can be wrong with a store, found all at once."""

from filestore.check.store import Outcome, StoreCheck

__all__ = ["Outcome", "StoreCheck"]
