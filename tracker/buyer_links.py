"""The link to a parcel's page for its buyer: whoever has it may see that parcel, and nothing else of the account.

Nothing is kept for it: its end is a MAC of the shipment's id, under a key drawn from the sealing key.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Sequence

from tracker.secrets import decode_key, same

ROOM = "/parcels"  # where the pages lie
_PROOF_BYTES = 15  # 120 bits: nobody comes upon one by guessing


class BuyerLinks:
    """Makes links under the first of the sealing keys, and opens those under any: a link outlives the change of a key.

    `address` is ours as buyers know it; "": it is not known, and there is no link.
    """

    def __init__(self, keys: Sequence[str], address: str) -> None:
        self._keys = [hashlib.blake2b(decode_key(key), person=b"milepost-buyers").digest() for key in keys]
        self._rooms = f"{address}{ROOM}" if address else ""

    def url(self, id: str) -> str:
        """The link of a shipment."""
        return f"{self._rooms}/{id}/{_proof(self._keys[0], id)}" if self._rooms else ""

    def opens(self, id: str, proof: str) -> bool:
        """Whether the link of the shipment ends so."""
        return any(same(proof, _proof(key, id)) for key in self._keys)


def no_link(id: str) -> str:
    """The link of a daemon that does not know its own address."""
    return ""


def _proof(key: bytes, id: str) -> str:
    mac = hmac.digest(key, id.encode("utf-8", "surrogateescape"), "sha256")
    return b32encode(mac[:_PROOF_BYTES]).decode().lower()  # letters and digits: mail programs cut a link off at others
