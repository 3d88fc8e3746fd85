"""Hermes' status codes, after its table of event codes, with its words where they say more than the code.

Each status has a code of four digits and a finer one of three groups (what, why, who scanned it). An answer holds one
or the other.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

FOUR: dict[str, Meaning] = {
    "0000": M.INFO_RECEIVED,
    "0600": M.DELAYED,  # announced, and not at the depot in time: one day, two, seven, twenty-eight
    "0700": M.DELAYED,
    "0800": M.DELAYED,
    "0900": M.DELAYED,
    "1000": M.PICKED_UP,  # has left the client's warehouse
    "1510": M.HUB_ARRIVED,  # sorted at a logistics centre
    "1520": M.RETURNING,  # a return, sorted
    "1610": M.IN_TRANSIT,  # abroad
    "1710": M.CUSTOMS_ENTERED,  # the papers for export are made
    "1720": M.CUSTOMS_CLEARED,
    "1730": (M.CUSTOMS_ENTERED, R.CUSTOMS),
    "1751": (M.EXCEPTION, R.CUSTOMS),  # turned back by customs
    "1810": M.HANDED_OVER,
    "1820": M.HANDED_OVER,
    "1900": M.PICKED_UP,
    "1901": M.PICKED_UP,  # brought to the branch by the client
    "1910": M.PICKED_UP,
    "2000": coarse(M.HUB_ARRIVED),  # "has arrived at …": a centre, or the depot that delivers
    "2100": coarse(M.HUB_ARRIVED),
    "2300": coarse(M.HUB_ARRIVED),
    "2400": M.PICKED_UP,  # the sender left it at a ParcelShop
    "3000": M.OUT_FOR_DELIVERY,
    "3010": M.HUB_DEPARTED,  # a tour between depots
    "3300": M.HUB_ARRIVED,
    "3410": M.AVAILABLE_FOR_PICKUP,
    "3430": M.HANDED_OVER,  # to the carrier of an island
    "3500": M.DELIVERED,
    "3510": M.DELIVERED,
    "3511": M.DELIVERED,  # letterbox
    "3520": M.DELIVERED,
    "3530": M.DELIVERED,  # collected from the ParcelShop
    # what the courier says at the door …
    "3710": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "3715": (M.DELIVERY_FAILED, R.PAYMENT_DUE),
    "3720": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "3731": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "3732": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "3733": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "3734": (M.RETURNING, R.RECIPIENT_ABSENT),  # the fourth time: it will be sent back
    "3740": (M.EXCEPTION, R.DAMAGED),
    "3750": (M.DELIVERY_FAILED, R.OPERATIONAL),  # the tour was broken off
    "3751": (M.DELIVERY_FAILED, R.OTHER),  # its TAN was wrong or missing
    "3752": (M.DELIVERY_FAILED, R.OTHER),
    "3753": (M.DELIVERY_FAILED, R.OTHER),
    "3754": (M.RETURNING, R.OTHER),
    "3760": M.RETURNING,  # a return, taken from the customer
    "3761": M.RETURNING,
    "3780": (M.DELAYED, R.MISSORTED),
    "3782": (M.DELIVERY_FAILED, R.OTHER),  # the recipient could not be identified, here and below
    "3783": (M.DELIVERY_FAILED, R.OTHER),
    "3784": (M.DELIVERY_FAILED, R.OTHER),
    "3785": (M.DELIVERY_FAILED, R.OTHER),
    "3786": (M.DELIVERY_FAILED, R.OTHER),
    "3787": (M.DELIVERY_FAILED, R.OTHER),
    "3795": (M.EXCEPTION, R.ON_HOLD),  # delivery was stopped
    # … and the depot once the parcel is back there
    "4010": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "4015": (M.DELIVERY_FAILED, R.PAYMENT_DUE),
    "4020": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "4024": (M.EXCEPTION, R.OTHER),  # too large for a ParcelShop
    "4025": M.IN_TRANSIT,  # on its way back to a distribution centre
    "4031": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "4032": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "4033": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "4034": (M.RETURNING, R.RECIPIENT_ABSENT),
    "4035": (M.EXCEPTION, R.MISSED_PICKUP),
    "4040": (M.EXCEPTION, R.DAMAGED),
    "4050": (M.DELIVERY_FAILED, R.OPERATIONAL),
    "4051": (M.DELIVERY_FAILED, R.OTHER),
    "4052": (M.DELIVERY_FAILED, R.OTHER),
    "4053": (M.DELIVERY_FAILED, R.OTHER),
    "4054": (M.RETURNING, R.OTHER),
    "4060": M.RETURNING,
    "4061": M.RETURNING,
    "4062": M.RETURNING,  # a return, left at a ParcelShop
    "4070": M.AT_DELIVERY_DEPOT,  # has not left on the tour after all
    "4072": M.IN_TRANSIT,  # is not sent back after all
    "4080": (M.DELAYED, R.MISSORTED),
    "4081": (M.DELIVERY_FAILED, R.OTHER),
    "4082": (M.DELIVERY_FAILED, R.OTHER),
    "4083": (M.DELIVERY_FAILED, R.OTHER),
    "4084": (M.DELIVERY_FAILED, R.OTHER),
    "4085": (M.DELIVERY_FAILED, R.OTHER),
    "4086": (M.DELIVERY_FAILED, R.OTHER),
    "4087": (M.DELIVERY_FAILED, R.OTHER),
    "4095": (M.EXCEPTION, R.ON_HOLD),
    "4100": (M.DELAYED, R.ON_HOLD),  # kept until a later day
    "4500": M.AT_DELIVERY_DEPOT,  # seen at stocktaking
    # at the ParcelShop where the sender left it
    "4610": (M.DELAYED, R.OPERATIONAL),  # no room in the van
    "4620": (M.EXCEPTION, R.PICKUP_FAILED),  # not found; looked for again
    "4630": (M.EXCEPTION, R.LOST),
    "4690": None,  # the last status was a mistake
    # sent back, or sent on
    "6080": M.RETURNING,
    "6081": (M.RETURNING, R.RECIPIENT_REFUSED),
    "6082": (M.RETURNING, R.ADDRESS_PROBLEM),
    "6083": (M.RETURNING, R.ADDRESS_PROBLEM),
    "6084": (M.RETURNING, R.RECIPIENT_ABSENT),
    "6085": (M.EXCEPTION, R.DAMAGED),  # looked at in the distribution centre
    "6086": (M.DELAYED, R.MISSORTED),
    "6087": (M.DELAYED, R.MISSORTED),
    "6088": M.IN_TRANSIT,  # redirected as the recipient asked
    "6089": M.RETURNING,
    "6090": M.HUB_DEPARTED,  # to the logistics centre
    "6092": (M.RETURNING, R.OTHER),
    "6093": (M.RETURNING, R.MISSED_PICKUP),
    "6094": (M.RETURNING, R.PAYMENT_DUE),
    "6096": (M.RETURNING, R.OTHER),
    "6098": (M.RETURNING, R.OTHER),
    "6099": (M.RETURNING, R.ON_HOLD),
    "7500": M.RETURNED,
    # measured; wishes of the recipient and notes of the customer service; the shipment cancelled
    "9040": None,
    "9041": None,
    "9311": None,
    "9315": None,
    "9321": None,
    "9322": None,
    "9323": None,
    "9324": None,
    "9325": None,
    "9327": None,
    "9328": None,
    "9340": M.CANCELLED,
    "9341": M.CANCELLED,
    # further notes of the customer service
    "9381": None,
    "9385": None,
    "9391": None,
    "9394": None,
    "9395": None,
    "9399": None,  # the cancellation was taken back
}
# The finer codes and the code of four digits of each. The third group stands only where it changes what is meant.
FINER: dict[str, str] = {
    "000/000": "0000",
    "000/001": "0600",
    "000/002": "0700",
    "000/003": "0800",
    "000/004": "0900",
    "010/000": "1000",
    "030/000": "1510",
    "030/015": "1510",
    "031/040": "9040",
    "031/041": "9041",
    "033/001": "1710",
    "033/002": "1720",
    "033/003": "1730",
    "033/005": "1810",
    "033/006": "1820",
    "033/051": "1751",
    "035/001": "1610",
    "037/001": "1900",
    "037/002": "1901",
    "037/003": "1910",
    "037/004": "1900",
    "045/000": "2000",
    "045/001": "2000",
    "045/001/008": "2400",
    "045/002": "2100",
    "045/005": "2000",
    "045/020": "2300",
    "048/001": "4610",
    "048/002": "4620",
    "048/003": "4630",
    "048/090": "4690",
    "050/001": "3000",
    "050/021": "3010",
    "050/024": "3300",
    "050/026": "3010",
    "050/028": "3010",
    "050/029": "3010",
    "050/090": "4070",
    "055/001": "3410",
    "055/002": "3430",
    "060/000": "4025",
    "060/001": "3710",
    "060/002": "3720",
    "060/003": "3731",
    "060/004": "3732",
    "060/005": "3733",
    "060/006": "3734",
    "060/007": "3780",
    "060/008": "3740",
    "060/009": "3750",
    "060/010": "3715",
    "060/011": "4081",
    "060/012": "4035",
    "060/013": "3782",
    "060/014": "3783",
    "060/015": "3784",
    "060/016": "3785",
    "060/017": "3786",
    "060/018": "3787",
    "060/024": "4024",
    "060/032": "3751",
    "060/033": "3752",
    "060/034": "3753",
    "060/035": "3754",
    "060/090": "4072",
    "060/095": "3795",
    "065/001": "3760",
    "065/002": "3761",
    "080/001": "4100",
    "080/002": "4100",
    "080/003": "4100",
    "080/004": "4100",
    "080/005": "4100",
    "080/006": "4100",
    "080/007": "4100",
    "085/001": "4500",
    "090/000": "3500",
    "090/001": "3510",
    "090/002": "3520",
    "090/003": "3530",
    "090/005": "3511",
    "100/000": "6080",
    "100/001": "6081",
    "100/002": "6082",
    "100/003": "6083",
    "100/004": "6084",
    "100/005": "6085",
    "100/006": "6086",
    "100/007": "6087",
    "100/008": "6088",
    "100/009": "6089",
    "100/010": "6094",
    "100/011": "6092",
    "100/015": "6093",
    "100/018": "6098",
    "100/024": "6096",
    "100/090": "4072",
    "100/099": "6099",
    "101/001": "6090",
    "115/001": "1520",
    "125/001": "7500",
    "310/001": "9311",
    "310/005": "9315",
    "320/001": "9321",
    "320/002": "9322",
    "320/003": "9323",
    "320/004": "9324",
    "320/005": "9325",
    "320/007": "9327",
    "320/008": "9328",
    "320/020": "9340",
    "320/021": "9341",
    "380/001": "9381",
    "380/005": "9385",
    "390/001": "9391",
    "390/004": "9394",
    "390/005": "9395",
    "390/020": "9399",
}
MILESTONES: dict[str, Meaning] = FOUR | {path: FOUR[code] for path, code in FINER.items()}
