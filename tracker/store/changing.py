"""Changing a record that others may change at the same moment: no change is lost, and what was removed stays so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Changed = TypeVar("Changed")


class Shelf(Protocol):
    """Records that can be changed: the part of the store that this needs."""

    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def replace_record(
        self, kind: str, account: str, id: str, value: bytes, *, seen: bytes | None = None
    ) -> bool: ...


async def change_record(
    store: Shelf,
    kind: str,
    account: str,
    id: str,
    *,
    opened: Callable[[bytes], Changed | None],
    change: Callable[[Changed], Changed],
    sealed: Callable[[Changed], bytes],
) -> Changed | None:
    """Change it as it stands, and again where somebody wrote it meanwhile; what it became.

    None where there is none, or none that can be opened: then nothing is written, whoever removed it meanwhile.
    """
    while (seen := await store.get_record(kind, account, id)) is not None:
        found = opened(seen)
        if found is None:
            break
        changed = change(found)
        if await store.replace_record(kind, account, id, sealed(changed), seen=seen):
            return changed
    return None
