"""The vocabulary: every milestone, status and reason with its label in 中文 and English, and one line of meaning."""

from __future__ import annotations

from msgspec import Struct

from tracker.model import Milestone, Reason, Status

M, R, S = Milestone, Reason, Status


class Word(Struct, frozen=True):
    """One entry of the vocabulary."""

    zh: str
    en: str
    meaning: str

    def label(self, lang: str) -> str:
        """The label in `lang`: `zh`, anything else is English."""
        return self.zh if lang.startswith("zh") else self.en


MILESTONES: dict[Milestone, Word] = {
    M.INFO_RECEIVED: Word(
        "已下单", "Label created", "The carrier holds the electronic data; nothing has been handed over yet"
    ),
    M.PICKED_UP: Word(
        "已揽收", "Picked up", "The carrier has the parcel: collected, dropped off or accepted at a counter"
    ),
    M.HUB_ARRIVED: Word(
        "到达转运中心",
        "Arrived at hub",
        "Scanned into a sorting hub, transit centre, gateway or exchange office on the way",
    ),
    M.HUB_DEPARTED: Word("离开转运中心", "Departed hub", "Left a facility on the way, next stop named or not"),
    M.IN_TRANSIT: Word("运输中", "In transit", "Moving, with no facility named: line haul, flight, ferry, processed"),
    M.CUSTOMS_ENTERED: Word("清关中", "Customs started", "Presented to customs, import or export"),
    M.CUSTOMS_CLEARED: Word("已清关", "Customs cleared", "Released by customs"),
    M.HANDED_OVER: Word(
        "转交下一承运商",
        "Handed to another carrier",
        "Passed to a partner or last-mile carrier, new number given or not",
    ),
    M.AT_DELIVERY_DEPOT: Word(
        "到达派件网点", "At the delivery depot", "Reached the station or post office that will deliver it"
    ),
    M.OUT_FOR_DELIVERY: Word("派件中", "Out for delivery", "With the courier for delivery today"),
    M.DELIVERY_FAILED: Word(
        "派送未成功", "Delivery attempt failed", "A delivery was tried and did not succeed; another is expected"
    ),
    M.AVAILABLE_FOR_PICKUP: Word(
        "待取件", "Ready for collection", "Waits in a locker, shop, station or post office for the recipient"
    ),
    M.DELIVERED: Word(
        "已签收",
        "Delivered",
        "Handed to the recipient, a proxy, a neighbour or a mailbox; or collected by the recipient",
    ),
    M.DELAYED: Word("延误", "Delayed", "Notice of a delay or a new date; the parcel is still on its way"),
    M.EXCEPTION: Word("异常", "Exception", "A problem someone must act on; the reason column of the event says which"),
    M.RETURNING: Word("退回中", "Returning to sender", "On its way back to the sender, refused or undeliverable"),
    M.RETURNED: Word("已退回", "Returned", "Back with the sender"),
    M.CANCELLED: Word("已取消", "Cancelled", "The shipment was voided or cancelled"),
    M.NOTE: Word("备注", "Note", "Information only: says nothing of where the parcel is"),
    M.UNKNOWN: Word(
        "未识别",
        "Unrecognised",
        "The carrier said something that no table or phrase covers: counted, kept, never guessed",
    ),
}

STATUSES: dict[Status, Word] = {
    S.PENDING: Word("待更新", "Pending", "Registered with us; the carrier has said nothing yet"),
    S.INFO_RECEIVED: Word("已下单", "Label created", "The carrier has the data, not the parcel"),
    S.PICKED_UP: Word("已揽收", "Picked up", "The carrier has the parcel"),
    S.IN_TRANSIT: Word("运输中", "In transit", "Between pick-up and delivery: hubs, line haul, customs, depot"),
    S.OUT_FOR_DELIVERY: Word("派件中", "Out for delivery", "With the courier"),
    S.DELIVERY_FAILED: Word(
        "派送未成功", "Delivery attempt failed", "Tried and not delivered; another attempt or a collection follows"
    ),
    S.AVAILABLE_FOR_PICKUP: Word("待取件", "Ready for collection", "Waits for the recipient"),
    S.DELIVERED: Word("已签收", "Delivered", "With the recipient"),
    S.EXCEPTION: Word("异常", "Exception", "Someone must act"),
    S.RETURNING: Word("退回中", "Returning to sender", "On its way back"),
    S.RETURNED: Word("已退回", "Returned", "Back with the sender"),
    S.CANCELLED: Word("已取消", "Cancelled", "Voided"),
    S.EXPIRED: Word("已停更", "No longer updated", "Silent for too long; any new scan wakes it"),
}

REASONS: dict[Reason, Word] = {
    R.RECIPIENT_ABSENT: Word("收件人不在", "Recipient absent", "Nobody at the address"),
    R.RECIPIENT_REFUSED: Word("拒收", "Recipient refused", "The recipient refused it"),
    R.RECIPIENT_UNREACHABLE: Word("无法联系收件人", "Recipient unreachable", "Phone or mail not answered"),
    R.ADDRESS_PROBLEM: Word("地址有误", "Address problem", "Address wrong, incomplete, moved or not found"),
    R.OUTSIDE_AREA: Word("超区", "Outside area", "Outside the carrier's delivery area"),
    R.CLOSED: Word("收件方歇业", "Closed", "Business or site closed at the time"),
    R.MISSED_PICKUP: Word("超时未取", "Missed pickup", "Not collected from the locker or shop in time"),
    R.DAMAGED: Word("破损", "Damaged", "Damaged in transit"),
    R.LOST: Word("遗失", "Lost", "Lost, or search opened"),
    R.WEATHER: Word("天气原因", "Weather", "Weather or natural disaster"),
    R.CUSTOMS: Word("海关扣留", "Customs", "Held, inspected or refused by customs; documents missing"),
    R.PAYMENT_DUE: Word("待付款", "Payment due", "Duty, cash on delivery or postage not paid"),
    R.PROHIBITED: Word("禁寄品", "Prohibited", "Item may not be carried"),
    R.SECURITY: Word("安检异常", "Security", "Security check, or police"),
    R.MISSORTED: Word("错分", "Missorted", "Sent the wrong way or mislabelled"),
    R.OPERATIONAL: Word("运营延误", "Operational", "Vehicle, flight, labour or capacity"),
    R.HOLIDAY: Word("节假日", "Holiday", "Public holiday, or no service that day"),
    R.ON_HOLD: Word("滞留", "On hold", "Held on request or awaiting instructions"),
    R.PICKUP_FAILED: Word("揽收失败", "Pickup failed", "The courier could not collect it from the sender"),
    R.DISPOSED: Word("已销毁", "Disposed", "Destroyed or disposed of"),
    R.OTHER: Word("其他", "Other", "Anything else that is named"),
}

# The status that a milestone brings; delayed, note and unknown bring none.
STATUS_OF: dict[Milestone, Status] = {
    M.INFO_RECEIVED: S.INFO_RECEIVED,
    M.PICKED_UP: S.PICKED_UP,
    M.HUB_ARRIVED: S.IN_TRANSIT,
    M.HUB_DEPARTED: S.IN_TRANSIT,
    M.IN_TRANSIT: S.IN_TRANSIT,
    M.CUSTOMS_ENTERED: S.IN_TRANSIT,
    M.CUSTOMS_CLEARED: S.IN_TRANSIT,
    M.HANDED_OVER: S.IN_TRANSIT,
    M.AT_DELIVERY_DEPOT: S.IN_TRANSIT,
    M.OUT_FOR_DELIVERY: S.OUT_FOR_DELIVERY,
    M.DELIVERY_FAILED: S.DELIVERY_FAILED,
    M.AVAILABLE_FOR_PICKUP: S.AVAILABLE_FOR_PICKUP,
    M.DELIVERED: S.DELIVERED,
    M.EXCEPTION: S.EXCEPTION,
    M.RETURNING: S.RETURNING,
    M.RETURNED: S.RETURNED,
    M.CANCELLED: S.CANCELLED,
}

# The order of the stages of a journey: breaks ties between scans of the same second.
STAGE: dict[Milestone, int] = {milestone: place for place, milestone in enumerate(Milestone)}
