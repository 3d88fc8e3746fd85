"""What EasyPost's codes mean: `status`, and `status/status_detail`, of a scan or a parcel.

https://docs.easypost.com/docs/trackers
EasyPost reads both from the carrier's words, so that the words may say more: most are coarse. `unknown` and `error`
alone stand in no table: there the words decide.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

STATUSES: dict[str, Meaning] = {
    "pre_transit": M.INFO_RECEIVED,
    "in_transit": coarse(M.IN_TRANSIT),
    "out_for_delivery": M.OUT_FOR_DELIVERY,
    "delivered": coarse(M.DELIVERED),
    "available_for_pickup": M.AVAILABLE_FOR_PICKUP,
    "return_to_sender": coarse(M.RETURNING),
    "failure": coarse(M.EXCEPTION, R.OTHER),
    "cancelled": M.CANCELLED,
    "failure/address_correction": coarse(M.EXCEPTION, R.ADDRESS_PROBLEM),  # beside `in_transit` it was corrected
    "unknown/status_update": coarse(M.NOTE),  # seen beside news of the expected day
}
MOVES: dict[str, Meaning] = {
    "label_created": M.INFO_RECEIVED,
    "received_at_origin_facility": coarse(M.HUB_ARRIVED),  # seen beside "Picked up", and far from the origin
    "departed_origin_facility": coarse(M.HUB_DEPARTED),
    "arrived_at_facility": coarse(M.HUB_ARRIVED),
    "departed_facility": coarse(M.HUB_DEPARTED),
    "received_at_destination_facility": coarse(M.AT_DELIVERY_DEPOT),
    "arrived_at_destination": coarse(M.AT_DELIVERY_DEPOT),
    "transferred_to_destination_carrier": coarse(M.HANDED_OVER),
    "arrived_at_pickup_location": M.AVAILABLE_FOR_PICKUP,
    "out_for_delivery": M.OUT_FOR_DELIVERY,
    "in_transit": coarse(M.IN_TRANSIT),
}
TROUBLES: dict[str, Meaning] = {
    "awaiting_information": coarse(M.EXCEPTION, R.ON_HOLD),
    "cancelled": M.CANCELLED,
    "damaged": (M.EXCEPTION, R.DAMAGED),
    "delayed": coarse(M.DELAYED),  # FedEx's every "Delivery exception" too
    "delivery_exception": coarse(M.DELIVERY_FAILED, R.OTHER),
    "expired": None,  # EasyPost follows it no longer
    "failure": coarse(M.EXCEPTION, R.OTHER),
    "held": coarse(M.EXCEPTION, R.ON_HOLD),
    "lost": (M.EXCEPTION, R.LOST),
    "missorted": (M.DELAYED, R.MISSORTED),
    "refused": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),  # its words may say that it returns
    "return": coarse(M.RETURNING),
    "transit_exception": coarse(M.EXCEPTION, R.OTHER),
    "weather_delay": (M.DELAYED, R.WEATHER),
}
MILESTONES: dict[str, Meaning] = (
    STATUSES
    | {f"{status}/{detail}": MOVES[detail] for status in ("in_transit", "unknown") for detail in MOVES}
    | {f"{status}/{detail}": TROUBLES[detail] for status in ("in_transit", "failure", "unknown") for detail in TROUBLES}
)

# EasyPost's carrier → our slug. https://docs.easypost.com/docs/trackers#supported-carriers
CARRIERS = codes_at("easypost")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
