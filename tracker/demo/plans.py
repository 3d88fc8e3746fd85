"""What can befall a parcel of the simulated carrier: plans of steps in hours, and the words said at each step."""

from __future__ import annotations

from msgspec import Struct


class Say(Struct, frozen=True):
    """The carrier's code and words for one kind of scan; `{…}` are filled with the parcel's places and people."""

    code: str
    zh: str
    en: str
    place: str  # which of the parcel's places the scan names


class Step(Struct, frozen=True):
    """One scan of a plan."""

    hours: float  # since the scan before it
    say: str  # a key of SAYINGS
    late: float = 0.0  # hours until the carrier tells of it
    copies: int = 1  # how often it tells
    withdrawn: float = 0.0  # hours after the telling until the carrier takes it back; 0 = never


class Plan(Struct, frozen=True):
    """A journey, and where it ends."""

    steps: tuple[Step, ...]
    reaches: str  # the status that a follower ends at
    about: str
    abroad: bool = False  # from China to overseas, told in English


SAYINGS: dict[str, Say] = {
    "booked": Say("BKD", "商家已下单，等待快递员上门揽收", "Shipment information received", "origin"),
    "picked": Say("PUP", "【{origin_site}】快递员{courier}（{phone}）已揽收", "Picked up by courier", "origin"),
    "in_first": Say("ARR", "快件已到达【{first_hub}】", "Arrived at {first_hub}", "origin"),
    "out_first": Say("DEP", "快件已离开【{first_hub}】，发往【{last_hub}】", "Departed {first_hub}", "origin"),
    "line": Say("LIN", "快件正在运往【{last_hub}】的途中", "In transit to {last_hub}", "way"),
    "in_middle": Say("ARR", "快件已到达【{middle_hub}】", "Arrived at {middle_hub}", "way"),
    "out_middle": Say("DEP", "快件已离开【{middle_hub}】，发往【{last_hub}】", "Departed {middle_hub}", "way"),
    "in_last": Say("ARR", "快件已到达【{last_hub}】", "Arrived at {last_hub}", "destination"),
    "out_last": Say("DEP", "快件已离开【{last_hub}】，发往【{depot}】", "Departed {last_hub}", "destination"),
    "customs_export": Say("CIN", "已交出口海关查验", "Presented to export customs", "way"),
    "customs_exported": Say("COK", "出口海关已放行", "Released by export customs", "way"),
    "customs": Say("CIN", "进口清关中", "Import customs clearance started", "destination"),
    "cleared": Say("COK", "进口清关完成", "Released by customs", "destination"),
    "customs_held": Say(
        "EXC/CUSTOMS", "海关要求补充资料，暂扣", "Held by customs: commercial invoice missing", "destination"
    ),
    "handed": Say("HND", "已转交末端承运商派送", "Handed over to the last-mile carrier", "destination"),
    "depot": Say("DPT", "快件已到达【{depot}】", "Arrived at delivery depot {depot}", "destination"),
    "out": Say(
        "OFD", "【{depot}】快递员{courier}（{phone}）正在派件，请保持电话畅通", "Out for delivery", "destination"
    ),
    "absent": Say("FLD/01", "收件人不在，派送未成功，约定再次派送", "Delivery attempted: nobody home", "destination"),
    "no_answer": Say(
        "FLD/02", "电话无法接通，派送未成功", "Delivery attempted: recipient not reachable", "destination"
    ),
    "refused": Say("FLD/04", "收件人拒收", "Refused by the recipient", "destination"),
    "locker": Say("LOC", "快件已放入【{locker}】，请凭取件码取件", "Ready for collection at {locker}", "destination"),
    "collected": Say("DLV/LOCKER", "已从【{locker}】取件，签收", "Collected from {locker}", "destination"),
    "signed": Say("DLV", "快件已签收，签收人：{recipient}", "Delivered, signed by {recipient}", "destination"),
    "delay": Say("DLY/WEATHER", "受暴雨影响，快件预计晚到一天", "Delayed by weather", "way"),
    "label": Say("LBL", "面单已补打", "Label reprinted", "origin"),
    "lost": Say("EXC/LOST", "快件遗失，客服已立案查找", "Parcel lost, search opened", "way"),
    "damaged": Say("EXC/DAMAGED", "外包装破损，已交客服处理", "Damaged in transit", "destination"),
    "returning": Say("RTS", "快件退回中，发往【{first_hub}】", "Returning to sender", "destination"),
    "back_hub": Say("RTS", "退回件已到达【{first_hub}】", "Return arrived at {first_hub}", "origin"),
    "returned": Say("RTD", "退回件已由寄件人签收", "Returned to sender", "origin"),
    "cancelled": Say("CNL", "订单已取消，快件不再揽收", "Shipment cancelled", "origin"),
    "only_words": Say("TXT", "快件到达【{middle_hub}】", "Arrived at {middle_hub}", "way"),
    "riddle": Say("ZZZ", "快件状态代码已同步", "Status code synchronised", "way"),
}

_START = (Step(0, "booked"), Step(2, "picked"))
_LINE = (Step(4, "in_first"), Step(2, "out_first"), Step(5, "in_last"), Step(2, "out_last"))
_LONG = (
    Step(4, "in_first"),
    Step(2, "out_first"),
    Step(4, "in_middle"),
    Step(2, "out_middle"),
    Step(4, "in_last"),
    Step(2, "out_last"),
)
_DEPOT = (Step(3, "depot"),)
_OUT = (*_DEPOT, Step(2, "out"))
_WAY = (*_START, *_LINE)
_BACK = (Step(2, "returning"), Step(5, "back_hub"), Step(5, "returned"))
_EXPORT = (
    *_START,
    Step(3, "in_first"),
    Step(2, "out_first"),
    Step(2, "customs_export"),
    Step(2, "customs_exported"),
    Step(5, "customs"),
)

PLANS: dict[str, Plan] = {
    # one for each status
    "PND": Plan((), "pending", "nothing is known of it: not found, now and later"),
    "INF": Plan(_START[:1], "info_received", "booked, never handed over"),
    "PUP": Plan(_START, "picked_up", "picked up, then silence"),
    "TRN": Plan(_WAY[:5], "in_transit", "rests at the last hub"),
    "OFD": Plan((*_WAY, *_OUT), "out_for_delivery", "stays with the courier"),
    "DLF": Plan((*_WAY, *_OUT, Step(3, "absent")), "delivery_failed", "nobody home, and no second attempt"),
    "PKP": Plan((*_WAY, *_OUT, Step(2, "locker")), "available_for_pickup", "waits in a locker"),
    "DLV": Plan((*_WAY, *_OUT, Step(3, "signed")), "delivered", "the plain journey"),
    "EXC": Plan((*_WAY, Step(2, "damaged")), "exception", "damaged on the way"),
    "RTG": Plan((*_WAY, *_OUT, Step(2, "refused"), *_BACK[:2]), "returning", "refused, on its way back"),
    "RTD": Plan((*_WAY, *_OUT, Step(2, "refused"), *_BACK), "returned", "refused, and back with the sender"),
    "CNL": Plan((*_START[:1], Step(4, "cancelled")), "cancelled", "cancelled before the pick-up"),
    "EXP": Plan((*_START, Step(4, "in_first")), "expired", "silent; a ready number (serial 9…) for 120 days already"),
    # journeys
    "LNG": Plan((*_START, *_LONG, *_OUT, Step(3, "signed")), "delivered", "over three hubs"),
    "STL": Plan((*_START, *_LINE[:2]), "in_transit", "leaves the first hub and is not heard of again: stalls"),
    "MOV": Plan(
        (*_START, *_LINE[:2], Step(26, "in_last"), *_OUT, Step(2, "signed")), "delivered", "stalls, then moves again"
    ),
    "LST": Plan((*_START, *_LINE[:2], Step(5, "lost")), "exception", "lost, a search is opened"),
    "FTD": Plan(
        (*_WAY, *_OUT, Step(3, "no_answer"), Step(5, "out"), Step(3, "signed")),
        "delivered",
        "a failed attempt, then delivered",
    ),
    "LKR": Plan(
        (*_WAY, *_OUT, Step(2, "locker"), Step(5, "collected")), "delivered", "put into a locker, then collected"
    ),
    "SFL": Plan(
        (*_WAY, *_OUT, Step(2, "signed"), Step(2, "locker"), Step(6, "collected")),
        "delivered",
        "signed first, put into a locker after: corrected, then collected",
    ),
    "WDR": Plan(
        (*_WAY, *_OUT, Step(2, "signed", withdrawn=4), Step(7, "out"), Step(2, "signed")),
        "delivered",
        "a signature that the carrier takes back, then a true one",
    ),
    "DUP": Plan(
        tuple(Step(step.hours, step.say, copies=2) for step in (*_WAY, *_OUT, Step(3, "signed"))),
        "delivered",
        "every scan is told twice",
    ),
    "SHF": Plan(
        (
            *_START,
            Step(4, "in_first", late=9),
            Step(2, "out_first", late=4),
            Step(5, "in_last"),
            Step(2, "out_last", late=20),
            *_OUT,
            Step(3, "signed"),
        ),
        "delivered",
        "scans told late and out of order, one after the delivery",
    ),
    "STR": Plan(
        (*_WAY, *_OUT, Step(3, "signed"), Step(3, "out_last")),
        "delivered",
        "a hub scan timed after the delivery: stray",
    ),
    "DLY": Plan(
        (*_START, *_LINE[:2], Step(3, "delay"), Step(5, "in_last"), *_OUT, Step(3, "signed")),
        "delivered",
        "delayed by weather, then delivered",
    ),
    "CUS": Plan(
        (*_EXPORT, Step(4, "cleared"), Step(2, "handed"), *_OUT, Step(3, "signed")),
        "delivered",
        "abroad through customs, told in English",
        abroad=True,
    ),
    "CHD": Plan(
        (*_EXPORT, Step(2, "customs_held"), Step(6, "cleared"), *_OUT, Step(3, "signed")),
        "delivered",
        "held by customs, then released",
        abroad=True,
    ),
    "TXT": Plan(
        (*_START, Step(4, "only_words"), Step(2, "label"), Step(4, "in_last"), *_OUT, Step(3, "signed")),
        "delivered",
        "a code in no table whose words say enough, and a label reprinted",
    ),
    "UNK": Plan((*_WAY[:4], Step(3, "riddle")), "in_transit", "a code and words that nobody knows"),
}
