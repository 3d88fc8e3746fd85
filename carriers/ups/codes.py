"""What UPS's status types and codes mean."""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

# status.type, https://developer.ups.com/tag/UPS-Track-Alert (FAQ: status types) and the Tracking developer guide.
TYPES: dict[str, Meaning] = {
    "M": M.INFO_RECEIVED,  # manifest: label created or billing information received
    "MV": M.CANCELLED,  # manifest voided
    "P": M.PICKED_UP,
    "I": coarse(M.IN_TRANSIT),  # in progress: the code or the words say how far
    "O": M.OUT_FOR_DELIVERY,
    "X": coarse(M.EXCEPTION, R.OTHER),  # something out of the normal; "may still be delivered on time"
    "D": coarse(M.DELIVERED),  # "loaded on delivery vehicle, out for delivery, delivered": the words say which
    "RS": coarse(M.RETURNED),  # returned to shipper; some words tell only of the way back
    "U": None,  # update of the scheduled delivery: no movement
}
# status.code, the same beside whichever type: the examples of the Track Alert specification, and recorded traffic.
CODES: dict[str, Meaning] = {
    "MP": M.INFO_RECEIVED,  # shipment ready for UPS
    "OR": M.PICKED_UP,  # origin scan: "UPS has your package"
    "XD": coarse(M.PICKED_UP),  # drop-off
    "DP": M.HUB_DEPARTED,
    "AR": M.HUB_ARRIVED,
    "YP": coarse(M.AT_DELIVERY_DEPOT),  # preparing for delivery; "processing at UPS facility" in other places
    "SR": M.CUSTOMS_CLEARED,  # released by the customs agency
    "U2": coarse(M.IN_TRANSIT),  # still on its way, though the type is X
    "OT": M.OUT_FOR_DELIVERY,
    "OF": M.OUT_FOR_DELIVERY,
    "2Q": M.AVAILABLE_FOR_PICKUP,  # left at an Access Point: it waits there
    "ZP": M.AVAILABLE_FOR_PICKUP,
    "5G": M.AVAILABLE_FOR_PICKUP,  # still there, and not for much longer
    "2W": M.DELIVERED,  # collected from the Access Point
    "FS": M.DELIVERED,
    "KB": M.DELIVERED,
    "KM": M.DELIVERED,
    "F4": M.DELIVERED,
    "UA": M.RETURNED,  # back with the sender, which UPS files under type D, signature and all
}
# The three digits that stand alone in some currentStatus (and in descriptionCode): UPS's status codes of old.
DIGITS: dict[str, Meaning] = {
    "003": coarse(M.INFO_RECEIVED),
    "005": coarse(M.IN_TRANSIT),
    "011": coarse(M.DELIVERED),
    "014": M.CUSTOMS_CLEARED,
    "017": M.AVAILABLE_FOR_PICKUP,
    "021": M.OUT_FOR_DELIVERY,
    "034": M.RETURNED,
    "035": M.RETURNING,
    "036": M.RETURNING,
    "037": M.RETURNING,
    "038": M.PICKED_UP,
    "040": M.AVAILABLE_FOR_PICKUP,
    "071": coarse(M.AT_DELIVERY_DEPOT),
}
KINDS = ("M", "P", "I", "O", "X", "D")
MILESTONES: dict[str, Meaning] = (
    TYPES | DIGITS | {f"{kind}/{code}": meaning for kind in KINDS for code, meaning in CODES.items()}
)
