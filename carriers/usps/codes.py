"""What USPS's event codes mean: Publication 199, appendix G-4 (domestic) and G-5 (international)."""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

# https://postalpro.usps.com/pub199. Where a code says little, or its words say more, it is coarse.
EVENTS: dict[str, Meaning] = {
    # the data
    "MA": M.INFO_RECEIVED,  # manifest acknowledged
    "GX": M.INFO_RECEIVED,  # label created, USPS awaits the item
    "83": M.INFO_RECEIVED,  # tendered to the postal service
    "89": M.INFO_RECEIVED,  # order receipt, USPS awaits the item
    "GC": None,  # return receipt associated
    "DX": None,  # delivery status not updated
    # the item is with USPS, or with the partner that brings it
    "03": M.PICKED_UP,
    "OA": M.PICKED_UP,  # origin acceptance
    "PA": coarse(M.PICKED_UP),  # acceptance inferred from a later scan
    "TM": coarse(M.PICKED_UP),  # shipment received, acceptance pending
    "UA": coarse(M.PICKED_UP),  # accepted at a USPS facility
    "AD": coarse(M.PICKED_UP),  # accepted at the destination
    "80": coarse(M.PICKED_UP),  # picked up by a shipping partner
    # on its way
    "81": coarse(M.HUB_ARRIVED),  # arrived at, departed from a shipping partner's facility
    "82": coarse(M.HUB_DEPARTED),
    "10": coarse(M.HUB_ARRIVED),  # processed, at origin or on the way
    "A1": coarse(M.HUB_ARRIVED),
    "19": coarse(M.HUB_ARRIVED),
    "41": coarse(M.HUB_ARRIVED),  # received at opening unit
    "T1": coarse(M.HUB_DEPARTED),
    "EF": coarse(M.HUB_DEPARTED),
    "SF": coarse(M.HUB_DEPARTED),  # departed post office
    "L1": coarse(M.HUB_DEPARTED),
    "TL": coarse(M.IN_TRANSIT),
    "NT": coarse(M.IN_TRANSIT),
    "06": coarse(M.IN_TRANSIT),  # forwarded
    "42": coarse(M.HANDED_OVER),  # to a shipping partner
    "07": coarse(M.AT_DELIVERY_DEPOT),  # arrived at the delivery unit
    "PC": coarse(M.AT_DELIVERY_DEPOT),  # sorted for the carrier's route
    "OF": M.OUT_FOR_DELIVERY,
    "59": M.OUT_FOR_DELIVERY,
    # delivered, or waiting
    "01": M.DELIVERED,  # wherever to: mailbox, door, the parcel locker beside the mailboxes
    "01/sender": M.RETURNED,  # our step of the path: USPS says it in words only
    "17": M.DELIVERED,  # picked up by the recipient's agent
    "43": M.DELIVERED,  # picked up by the recipient
    "60": M.HANDED_OVER,  # delivered to an agent for final delivery
    "14": M.AVAILABLE_FOR_PICKUP,
    "16": M.AVAILABLE_FOR_PICKUP,
    # tried, and not delivered
    "02": coarse(M.DELIVERY_FAILED, R.OTHER),  # notice left
    "30": (M.DELIVERY_FAILED, R.OTHER),  # no access
    "51": (M.DELIVERY_FAILED, R.CLOSED),
    "52": coarse(M.DELIVERY_FAILED, R.OTHER),
    "53": (M.DELIVERY_FAILED, R.OTHER),  # receptacle blocked
    "54": (M.DELIVERY_FAILED, R.OTHER),  # receptacle full, item too big
    "55": (M.DELIVERY_FAILED, R.OTHER),  # no secure place
    "56": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "71": coarse(M.DELAYED),  # to the next delivery day
    # in trouble, or on its way back
    "04": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),
    "05": coarse(M.EXCEPTION, R.ADDRESS_PROBLEM),
    "08": coarse(M.EXCEPTION, R.MISSORTED),
    "15": coarse(M.EXCEPTION, R.MISSORTED),
    "11": coarse(M.EXCEPTION, R.LOST),  # dead mail
    "44": coarse(M.RETURNING),  # recalled by the sender
    "09": M.RETURNING,
    "21": coarse(M.RETURNING, R.ADDRESS_PROBLEM),  # no such number
    "22": coarse(M.RETURNING, R.ADDRESS_PROBLEM),
    "23": coarse(M.RETURNING, R.ADDRESS_PROBLEM),  # moved
    "24": coarse(M.RETURNING, R.ADDRESS_PROBLEM),
    "25": coarse(M.RETURNING, R.ADDRESS_PROBLEM),
    "26": coarse(M.RETURNING, R.ADDRESS_PROBLEM),
    "27": coarse(M.RETURNING, R.MISSED_PICKUP),
    "28": coarse(M.RETURNING, R.OTHER),
    "29": coarse(M.RETURNING, R.OTHER),
    "31": coarse(M.RETURNING, R.MISSED_PICKUP),
}
# statusCategory, the summary's word where no event says more. `Alert` and `Delivery Attempt` leave it to `status`.
CATEGORIES: dict[str, Meaning] = {
    "Pre-Shipment": M.INFO_RECEIVED,
    "Accepted": coarse(M.PICKED_UP),
    "In Transit": coarse(M.IN_TRANSIT),
    "Moving Through Network": coarse(M.IN_TRANSIT),
    "Out for Delivery": M.OUT_FOR_DELIVERY,
    "Available for Pickup": M.AVAILABLE_FOR_PICKUP,
    "Delivery Attempt": coarse(M.DELIVERY_FAILED, R.OTHER),
    "Delivered": coarse(M.DELIVERED),
    "Delivered to Agent": coarse(M.HANDED_OVER),
    "Alert": coarse(M.EXCEPTION, R.OTHER),
}
MILESTONES: dict[str, Meaning] = EVENTS | CATEGORIES
