"""What Shippo's codes mean: `status`, and `status/substatus.code`, of a scan or a parcel.

https://docs.goshippo.com/docs/tracking/tracking
Shippo reads both from the carrier's words, so that the words may say more: most are coarse. `UNKNOWN` stands in no
table: there the words alone decide.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

MILESTONES: dict[str, Meaning] = {
    "PRE_TRANSIT": M.INFO_RECEIVED,
    "PRE_TRANSIT/information_received": M.INFO_RECEIVED,
    "TRANSIT": coarse(M.IN_TRANSIT),
    "TRANSIT/address_issue": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "TRANSIT/contact_carrier": coarse(M.EXCEPTION, R.OTHER),
    "TRANSIT/delayed": coarse(M.DELAYED),
    "TRANSIT/delivery_attempted": coarse(M.DELIVERY_FAILED, R.OTHER),
    "TRANSIT/delivery_rescheduled": coarse(M.DELAYED),
    "TRANSIT/delivery_scheduled": coarse(M.NOTE),
    "TRANSIT/location_inaccessible": coarse(M.DELIVERY_FAILED, R.OTHER),
    "TRANSIT/notice_left": coarse(M.DELIVERY_FAILED, R.OTHER),
    "TRANSIT/out_for_delivery": M.OUT_FOR_DELIVERY,
    "TRANSIT/package_accepted": M.PICKED_UP,
    "TRANSIT/package_arrived": coarse(M.HUB_ARRIVED),
    "TRANSIT/package_damaged": (M.EXCEPTION, R.DAMAGED),
    "TRANSIT/package_departed": coarse(M.HUB_DEPARTED),
    "TRANSIT/package_forwarded": coarse(M.IN_TRANSIT),
    "TRANSIT/package_held": coarse(M.EXCEPTION, R.ON_HOLD),
    "TRANSIT/package_processed": coarse(M.HUB_ARRIVED),  # at an intermediate location
    "TRANSIT/package_processing": coarse(M.HUB_ARRIVED),
    "TRANSIT/pickup_available": M.AVAILABLE_FOR_PICKUP,
    "TRANSIT/reschedule_delivery": coarse(M.DELIVERY_FAILED, R.OTHER),
    "DELIVERED": coarse(M.DELIVERED),
    "DELIVERED/delivered": coarse(M.DELIVERED),
    "RETURNED": coarse(M.RETURNING),  # "en route to the sender, or returned": its words tell which
    "RETURNED/return_to_sender": coarse(M.RETURNING),
    "RETURNED/package_unclaimed": coarse(M.EXCEPTION, R.MISSED_PICKUP),
    "FAILURE": coarse(M.EXCEPTION, R.OTHER),
    "FAILURE/package_undeliverable": coarse(M.EXCEPTION, R.OTHER),
    "FAILURE/package_disposed": (M.EXCEPTION, R.DISPOSED),
    "FAILURE/package_lost": (M.EXCEPTION, R.LOST),
}

# Shippo's carrier token → our slug. https://docs.goshippo.com/docs/tracking/trackingcarriers
CARRIERS = codes_at("shippo")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
