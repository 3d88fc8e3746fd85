"""What AfterShip's codes mean: `subtag` of a checkpoint or a parcel, and `tag`, which is all that some have.

https://www.aftership.com/docs/tracking/enum/delivery-sub-statuses
AfterShip reads both from the carrier's words. Coarse are those that many different words share: there the words may
say more (a parcel "delivered" to a locker waits for its recipient).
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

MILESTONES: dict[str, Meaning] = {
    "Pending": None,  # nothing heard yet
    "Pending_001": None,
    "InfoReceived": M.INFO_RECEIVED,
    "InfoReceived_001": M.INFO_RECEIVED,
    "InTransit": coarse(M.IN_TRANSIT),
    "InTransit_001": coarse(M.IN_TRANSIT),
    "InTransit_002": M.PICKED_UP,  # acceptance scan
    "InTransit_003": coarse(M.HUB_ARRIVED),  # arrival scan, also at the delivery depot
    "InTransit_004": coarse(M.HUB_ARRIVED),  # in the country of destination
    "InTransit_005": M.CUSTOMS_CLEARED,
    "InTransit_006": M.CUSTOMS_ENTERED,
    "InTransit_007": coarse(M.HUB_DEPARTED),  # departure scan
    "InTransit_008": coarse(M.IN_TRANSIT),  # problem resolved
    "InTransit_009": coarse(M.IN_TRANSIT),  # forwarded to another address
    "OutForDelivery": coarse(M.OUT_FOR_DELIVERY),  # "about to deliver, or it is ready to pick up"
    "OutForDelivery_001": coarse(M.OUT_FOR_DELIVERY),
    "OutForDelivery_003": coarse(M.NOTE),  # the customer was contacted
    "OutForDelivery_004": coarse(M.NOTE),  # an appointment was made
    "AttemptFail": coarse(M.DELIVERY_FAILED, R.OTHER),
    "AttemptFail_001": coarse(M.DELIVERY_FAILED, R.OTHER),
    "AttemptFail_002": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "AttemptFail_003": (M.DELIVERY_FAILED, R.CLOSED),
    "AvailableForPickup": M.AVAILABLE_FOR_PICKUP,
    "AvailableForPickup_001": M.AVAILABLE_FOR_PICKUP,
    "Delivered": coarse(M.DELIVERED),
    "Delivered_001": coarse(M.DELIVERED),
    "Delivered_002": M.DELIVERED,  # collected by the customer
    "Delivered_003": M.DELIVERED,  # signed for
    "Delivered_004": M.DELIVERED,  # paid for in cash
    "Delivered_005": M.DELIVERED,  # to a neighbour
    "Exception": coarse(M.EXCEPTION, R.OTHER),
    "Exception_001": coarse(M.EXCEPTION, R.OTHER),
    "Exception_002": (M.EXCEPTION, R.ADDRESS_PROBLEM),  # moved
    "Exception_003": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),  # its words may say that it returns
    "Exception_004": (M.DELAYED, R.CUSTOMS),
    "Exception_005": coarse(M.DELAYED),  # external factors
    "Exception_006": (M.EXCEPTION, R.PAYMENT_DUE),
    "Exception_007": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "Exception_008": (M.EXCEPTION, R.MISSED_PICKUP),
    "Exception_009": (M.EXCEPTION, R.PROHIBITED),  # against the carrier's rules
    "Exception_010": M.RETURNING,
    "Exception_011": M.RETURNED,
    "Exception_012": (M.EXCEPTION, R.DAMAGED),
    "Exception_013": (M.EXCEPTION, R.LOST),
    "Exception_020": M.CANCELLED,
    "Expired": None,  # AfterShip's silence, not the carrier's word; ours is counted by ourselves
    "Expired_001": None,
}

# AfterShip's courier slug → our slug; of two slugs of a carrier the first is the one to ask with.
# https://www.aftership.com/docs/tracking/others/supported-couriers
CARRIERS = codes_at("aftership")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
