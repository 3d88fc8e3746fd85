"""Royal Mail's event codes, after its table of tracking events, with its words where they say more than the code."""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

# https://developer.royalmail.net/ (Tracking API v2, its table of events) for all of these. First the sender's data.
ADVICE: dict[str, Meaning] = {
    "EVAIE": M.INFO_RECEIVED,
    "EVAIP": M.INFO_RECEIVED,
    "EVAPA": M.INFO_RECEIVED,
    "EVPPB": M.INFO_RECEIVED,  # inferred
}
ACCEPTED: dict[str, Meaning] = {
    "EVNPB": M.PICKED_UP,  # at a customer service point
    "EVOAC": M.PICKED_UP,
    "EVOBC": M.PICKED_UP,  # from a bulk receipt
    "EVPPA": M.PICKED_UP,  # at a post office
}
# Outward and inward distribution and mail centres. A machine that rejects an item leaves it to a hand.
CENTRES: dict[str, Meaning] = {
    # outward distribution centre
    "EVBAH": M.HUB_ARRIVED,
    "EVBAV": M.HUB_ARRIVED,
    "EVBAW": M.HUB_ARRIVED,
    "EVBDM": (M.HUB_ARRIVED, R.DAMAGED),
    "EVBMI": (M.DELAYED, R.MISSORTED),
    "EVBOF": M.HUB_ARRIVED,
    "EVBPM": M.HUB_ARRIVED,
    "EVBPR": M.HUB_ARRIVED,
    "EVBRA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVBRB": (M.RETURNING, R.MISSORTED),  # its barcode can't be used
    "EVBRS": M.HUB_ARRIVED,
    "EVBRT": M.RETURNING,
    "EVBRW": (M.RETURNING, R.OTHER),  # overweight
    "EVBSA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVBSD": (M.HUB_ARRIVED, R.DAMAGED),
    "EVBSM": M.HUB_ARRIVED,
    "EVBSR": M.HUB_ARRIVED,
    "EVBSS": M.HUB_ARRIVED,
    "EVBSW": M.HUB_ARRIVED,
    # inward distribution centre
    "EVCAH": M.HUB_ARRIVED,
    "EVCAV": M.HUB_ARRIVED,
    "EVCDM": (M.HUB_ARRIVED, R.DAMAGED),
    "EVCMI": (M.DELAYED, R.MISSORTED),
    "EVCOF": M.HUB_ARRIVED,
    "EVCPA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVCPD": (M.HUB_ARRIVED, R.DAMAGED),
    "EVCPI": (M.DELAYED, R.MISSORTED),
    "EVCPS": M.HUB_ARRIVED,
    "EVCPW": M.HUB_ARRIVED,
    "EVCRA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVCRB": (M.RETURNING, R.MISSORTED),
    "EVCRS": M.HUB_ARRIVED,
    "EVCRW": M.HUB_ARRIVED,
    # outward mail centre
    "EVDAA": M.HUB_ARRIVED,
    "EVDAC": M.HUB_ARRIVED,
    "EVDAV": M.HUB_ARRIVED,
    "EVDAW": M.HUB_ARRIVED,
    "EVDDM": (M.HUB_ARRIVED, R.DAMAGED),
    "EVDLS": None,  # lost from the machine's sight
    "EVDMI": (M.DELAYED, R.MISSORTED),
    "EVDOF": M.HUB_ARRIVED,
    "EVDPL": M.HUB_ARRIVED,
    "EVDPM": M.HUB_ARRIVED,
    "EVDPR": M.HUB_ARRIVED,
    "EVDRA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVDRB": (M.RETURNING, R.MISSORTED),
    "EVDRO": M.HUB_ARRIVED,
    "EVDRS": M.HUB_ARRIVED,
    "EVDRW": (M.RETURNING, R.OTHER),
    "EVDSA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVDSD": (M.HUB_ARRIVED, R.DAMAGED),
    "EVDSL": M.HUB_ARRIVED,
    "EVDSM": M.HUB_ARRIVED,
    "EVDSR": M.HUB_ARRIVED,
    "EVDSS": M.HUB_ARRIVED,
    "EVDSW": (M.RETURNING, R.OTHER),
    # inward mail centre
    "EVIAV": M.HUB_ARRIVED,
    "EVIDM": (M.HUB_ARRIVED, R.DAMAGED),
    "EVIMC": M.HUB_ARRIVED,
    "EVIMI": (M.DELAYED, R.MISSORTED),
    "EVIMS": M.HUB_ARRIVED,
    "EVIOF": M.HUB_ARRIVED,
    "EVIPA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVIPD": (M.HUB_ARRIVED, R.DAMAGED),
    "EVIPI": (M.DELAYED, R.MISSORTED),
    "EVIPR": M.HUB_ARRIVED,
    "EVIPS": M.HUB_ARRIVED,
    "EVIPW": M.HUB_ARRIVED,
    "EVIRM": M.HUB_ARRIVED,
    "EVIRO": M.HUB_ARRIVED,
    # between them
    "EVOCO": coarse(M.HUB_ARRIVED),  # seen in answers, in no table
    "EVODO": M.HUB_DEPARTED,
    "EVOLB": M.HUB_ARRIVED,
    "EVOMI": (M.DELAYED, R.MISSORTED),
    "EVOOC": M.HUB_ARRIVED,
    "EVORC": M.HUB_ARRIVED,
    "EVORI": M.HUB_ARRIVED,
    "EVORR": M.RETURNING,
    "EVORT": M.RETURNING,
    "EVORW": M.HUB_ARRIVED,
    "EVOUF": M.IN_TRANSIT,  # refused by air security; "item on its way"
    "EVOVB": M.HUB_ARRIVED,
}
ABROAD: dict[str, Meaning] = {
    "EVHAC": M.HUB_ARRIVED,
    "EVHOE": M.HUB_DEPARTED,  # leaves the UK
    # not exported
    "EVHAP": (M.EXCEPTION, R.PAYMENT_DUE),
    "EVHAR": (M.EXCEPTION, R.OTHER),  # at the addressee's request
    "EVHCA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVHCR": (M.RETURNING, R.CUSTOMS),
    "EVHDI": (M.RETURNING, R.DAMAGED),
    "EVHFM": (M.EXCEPTION, R.OPERATIONAL),  # force majeure
    "EVHID": (M.RETURNING, R.CUSTOMS),
    "EVHNC": (M.EXCEPTION, R.CUSTOMS),  # the sender can't be reached for information
    "EVHSR": (M.EXCEPTION, R.OTHER),  # at the sender's request
    # the international centre and its customs
    "EVILC": M.HUB_DEPARTED,
    "EVJOE": M.HUB_ARRIVED,
    "EVJIC": M.CUSTOMS_ENTERED,
    "EVJAP": (M.CUSTOMS_ENTERED, R.CUSTOMS),
    "EVJBA": (M.CUSTOMS_ENTERED, R.CUSTOMS),
    "EVJCA": (M.CUSTOMS_ENTERED, R.CUSTOMS),
    "EVJES": (M.CUSTOMS_ENTERED, R.CUSTOMS),
    "EVJCC": (M.EXCEPTION, R.CUSTOMS),  # nobody can be reached for information
    "EVJCD": (M.EXCEPTION, R.CUSTOMS),  # papers missing, here and below
    "EVJCO": (M.EXCEPTION, R.CUSTOMS),
    "EVJEM": (M.EXCEPTION, R.CUSTOMS),
    "EVJIN": (M.EXCEPTION, R.CUSTOMS),
    "EVJML": (M.EXCEPTION, R.CUSTOMS),
    "EVJSR": (M.EXCEPTION, R.CUSTOMS),
    "EVJPA": (M.EXCEPTION, R.PROHIBITED),
    "EVJDP": (M.CUSTOMS_CLEARED, R.PAYMENT_DUE),
    "EVJEA": M.CUSTOMS_CLEARED,
    "EVJIA": M.CUSTOMS_CLEARED,
    "EVJNT": M.CUSTOMS_CLEARED,
    "EVJFC": M.CUSTOMS_ENTERED,  # let go to be cleared at another office
    "EVJDU": M.HUB_DEPARTED,
    "EVJJV": M.HUB_DEPARTED,
    "EVJLV": M.HUB_DEPARTED,
    "EVJMV": M.HUB_DEPARTED,
}
DELIVERY_OFFICE: dict[str, Meaning] = {
    "EVGDM": (M.AT_DELIVERY_DEPOT, R.DAMAGED),
    "EVGDO": M.AT_DELIVERY_DEPOT,
    "EVGMI": (M.DELAYED, R.MISSORTED),
    "EVGPD": M.OUT_FOR_DELIVERY,  # due for delivery today: no code says that it left the office
    "EVNCF": (M.EXCEPTION, R.PAYMENT_DUE),
    "EVNCL": (M.EXCEPTION, R.LOST),
    "EVNDL": (M.EXCEPTION, R.DISPOSED),
    "EVNDN": (M.DELAYED, R.OPERATIONAL),  # not attempted
    "EVNDO": M.HUB_DEPARTED,
    "EVNDS": None,  # listed without a word of what it says
    "EVNKS": (M.DELAYED, R.ON_HOLD),  # kept as the addressee asked
    "EVNMC": M.HUB_DEPARTED,
    "EVNMI": (M.DELAYED, R.MISSORTED),
    "EVNOU": None,  # booked out
    "EVNRC": None,  # the wish to have it at a post office
    "EVNRD": M.IN_TRANSIT,
    "EVNRT": (M.DELAYED, R.ON_HOLD),
    "EVNSR": None,  # the wish to have it brought again
    "EVNWA": (M.IN_TRANSIT, R.ADDRESS_PROBLEM),  # forwarded to the right address
    "EVSGD": (M.EXCEPTION, R.DISPOSED),
    "EVSGS": (M.EXCEPTION, R.PROHIBITED),
    "EVSUS": (M.EXCEPTION, R.PROHIBITED),
}
ATTEMPTED: dict[str, Meaning] = {
    "EVKAA": (M.DELIVERY_FAILED, R.OTHER),  # the address could not be reached
    "EVKNA": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "EVKNR": (M.DELIVERY_FAILED, R.OTHER),  # "Delivery Attempted": seen in answers, in no table
    "EVKSU": (M.DELIVERY_FAILED, R.OTHER),  # not to the safe place
    "EVNBA": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "EVNIL": (M.DELIVERY_FAILED, R.OTHER),
    "EVNIO": (M.DELIVERY_FAILED, R.OTHER),
    "EVNSA": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "EVPOA": (M.DELIVERY_FAILED, R.OTHER),
    "EVPON": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "EVPXA": (M.DELIVERY_FAILED, R.OTHER),
    "EVPXN": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
}
# Royal Mail counts Local Collect as delivered. It waits for the addressee.
WAITING: dict[str, Meaning] = {
    "EVKLC": M.AVAILABLE_FOR_PICKUP,
    "EVKLS": M.AVAILABLE_FOR_PICKUP,
    "EVNLC": M.AVAILABLE_FOR_PICKUP,
    "EVPLA": M.AVAILABLE_FOR_PICKUP,
    "EVNAA": (M.AVAILABLE_FOR_PICKUP, R.OTHER),  # the address could not be reached
    "EVNAE": M.AVAILABLE_FOR_PICKUP,
    "EVNDA": (M.AVAILABLE_FOR_PICKUP, R.RECIPIENT_ABSENT),
}
DELIVERED: dict[str, Meaning] = {
    "EVKDN": M.DELIVERED,  # to a neighbour
    "EVKNS": M.DELIVERED,
    "EVKOP": M.DELIVERED,
    "EVKSF": M.DELIVERED,  # to the safe place
    "EVKSP": M.DELIVERED,
    "EVNFS": M.DELIVERED,
    "EVNLP": M.DELIVERED,
    "EVNPO": M.DELIVERED,  # to the PO box
    "EVNCE": M.DELIVERED,  # collected, here and below
    "EVNCO": M.DELIVERED,
    "EVNOC": M.DELIVERED,
    "EVNSC": M.DELIVERED,
    "EVPLC": M.DELIVERED,
    "EVPLF": M.DELIVERED,
    "EVNOI": None,  # implied by the system, seen by nobody
}
SENT_BACK: dict[str, Meaning] = {
    "EVKAI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVKGA": (M.RETURNING, R.ADDRESS_PROBLEM),  # gone away
    "EVKRF": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNAB": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNAC": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNAD": (M.RETURNING, R.MISSED_PICKUP),
    "EVNAI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNGA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNGL": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNHE": (M.RETURNING, R.MISSED_PICKUP),
    "EVNHR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNLA": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNLG": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNLI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNLR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNRE": (M.RETURNING, R.MISSED_PICKUP),
    "EVNRF": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNRL": (M.RETURNING, R.MISSED_PICKUP),
    "EVNRN": M.RETURNING,  # to the national returns centre
    "EVNRO": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNRR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVNRS": M.RETURNING,
    "EVNSI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNUK": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNUL": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVNUO": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPLI": M.RETURNING,
    "EVPLN": (M.RETURNING, R.MISSED_PICKUP),
    "EVPLR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVPLU": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPLX": M.RETURNING,
    "EVPOG": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPOI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPOR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVPOU": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPUX": M.RETURNING,
    "EVPXG": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPXI": (M.RETURNING, R.ADDRESS_PROBLEM),
    "EVPXR": (M.RETURNING, R.RECIPIENT_REFUSED),
    "EVPXU": (M.RETURNING, R.ADDRESS_PROBLEM),
}
# Notices to people: what each is about (delivered, fee to pay, still here, at the post office, …), and whether it was
# asked for, sent, and reached its device.
_ABOUT = ("NDE", "NEP", "NFN", "NLC", "NRD", "NRE", "NSF", "NUN")
_FARED = ("DF", "RF", "RS", "SF", "SS")
_SYSTEM = ("EVZAM", "EVZBF", "EVZDM", "EVZDR", "EVZLM", "EVZRD", "EVZRM", "EVZSO", "RORXS", "RSRXS")
NOTICES: dict[str, Meaning] = dict.fromkeys((*(about + fared for about in _ABOUT for fared in _FARED), *_SYSTEM))

# What the summary says of the whole, where an event may say only that the item will be late.
CATEGORIES: dict[str, Meaning] = {"IN TRANSIT": M.IN_TRANSIT}

MILESTONES: dict[str, Meaning] = CATEGORIES | (
    ADVICE | ACCEPTED | CENTRES | ABROAD | DELIVERY_OFFICE | ATTEMPTED | WAITING | DELIVERED | SENT_BACK | NOTICES
)
