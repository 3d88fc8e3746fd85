"""How often the interpreter looks for cycles: seldom, for a daemon makes many objects and next to none of those."""

from __future__ import annotations

import gc

# objects made, and collections of the generation before, between two collections; 700, 10 and 10 where nobody says so
_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50


def collect_seldom() -> None:
    """Leave alone what is here now, and look at the rest in bulk. A webhook or a poll makes some hundred objects; each
    collection of all walks every shipment that waits in a queue."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
