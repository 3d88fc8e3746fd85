"""An example of every kind of change, as subscribers get it: for their tests, our goldens and docs/webhooks.md."""

from __future__ import annotations

from msgspec import structs

from carriers.sdk import Certainty, Moment, Report, Scan, Summary
from carriers.simulated import MILESTONES
from tracker.model import ChangeKind, Details, Document, Milestone, Reason, Shipment, Stall
from tracker.normalise import classify
from tracker.timeline.changes import changes
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge
from tracker.views import change_body

K = ChangeKind
HOUR = 3_600
START = 1_790_064_000  # 2026-09-22T08:00:00, the reading of a clock in China
ID = "shp_0c4XWq2m9T"
WORDS = {
    "BKD": ("已下单，等待揽收", ""),
    "PUP": ("快件已由【杭州西湖营业点】揽收", "杭州市"),
    "ARR": ("快件到达【上海转运中心】", "上海市"),
    "DEP": ("快件离开【上海转运中心】，发往【北京转运中心】", "上海市"),
    "OFD": ("快件交给张**，正在派送途中（联系电话：138****0000）", "北京市"),
    "FLD/01": ("收件人不在，派送未成功", "北京市"),
    "LOC": ("快件已放入【3号柜】，请凭取件码取件", "北京市"),
    "DLV": ("已签收，签收人：本人", "北京市"),
    "EXC/LOST": ("快件查找中", "上海市"),
    "RTS": ("快件退回中", "北京市"),
    "RTD": ("快件已退回寄件人", "杭州市"),
    "CNL": ("订单已取消", ""),
    "LBL": ("面单已重打", ""),
}
Told = tuple[str, float]  # a code, and the hour of the journey


def _heard(hour: float) -> int:
    """Our clock, half a minute after a scan of that hour."""
    return int((START - 8 * HOUR + hour * HOUR + 30) * 1000)


def _scan(told: Told) -> Scan:
    code, hour = told
    text, place = WORDS[code]
    return Scan(
        time=Moment(int(START + hour * HOUR), 480, Certainty.CARRIER_RULE), code=code, text=text, location=place
    )


def _read(code: str, text: str) -> tuple[Milestone, Reason | None]:
    meaning = classify(MILESTONES, code, text)
    return meaning.milestone, meaning.reason


def _empty() -> Document:
    return Document(
        id=ID,
        account="default",
        waybill="SIMSTD000000010",
        carrier="simulated",
        registered_at=_heard(-1),
        updated_at=_heard(-1),
        details=Details(order_number="A-1001", shop="main", warehouse="HZ-1", tags=("fragile",)),
    )


def _merged(
    document: Document, hour: float, *told: Told, full: bool = False, summary: Summary | None = None
) -> Document:
    report = Report(waybill=document.waybill, scans=tuple(_scan(one) for one in told), full=full, summary=summary)
    receipt = Receipt(
        source="con_1/poll" if full else "con_1/push",
        heard_at=_heard(hour),
        report=report,
        fingerprint=f"{int(hour):016x}",
        asked=full,
    )
    return structs.replace(merge(document, receipt, _read), updated_at=_heard(hour))


def _story(*told: Told) -> Document:
    """The document after each of these was pushed as it happened."""
    document = structs.replace(_empty(), revision=1)
    for revision, one in enumerate(told, 2):
        document = structs.replace(_merged(document, one[1], one), revision=revision)
    return document


def _step(before: Document, told: Told) -> tuple[Document, Document]:
    return before, _merged(before, told[1], told)


def _flagged(hour: float) -> Document:
    before = _story(("BKD", 0), ("PUP", 2), ("ARR", 9))
    stall = Stall(_heard(hour), START - 8 * HOUR + 9 * HOUR, Milestone.HUB_ARRIVED, 36 * HOUR)
    return structs.replace(before, stall=stall, updated_at=_heard(hour))


def pair(kind: ChangeKind) -> tuple[Document | None, Document]:
    """The documents before and after a commit that announces `kind`."""
    road = (("BKD", 0.0), ("PUP", 2.0), ("ARR", 9.0))
    out = (*road, ("OFD", 28.0))
    match kind:
        case K.REGISTERED:
            return None, _empty()
        case K.UPDATED:
            return _step(_story(*road), ("DEP", 12))
        case K.PENDING:  # the carrier withdraws the only scan that said anything
            before = structs.replace(_merged(_empty(), 3, ("PUP", 2), ("LBL", 3), full=True), revision=2)
            return before, _merged(before, 4, ("LBL", 1), ("LBL", 3), full=True)
        case K.STALLED:
            return _story(*road), _flagged(46)
        case K.MOVING_AGAIN:
            before = structs.replace(_flagged(46), revision=5)
            return before, structs.replace(_merged(before, 50, ("DEP", 50)), stall=None)
        case K.CORRECTED:
            return _step(_story(*out, ("DLV", 30)), ("LOC", 31))
        case K.EXPIRED:
            before = _story(*road)
            return before, structs.replace(before, expired_at=_heard(800), updated_at=_heard(800))
        case K.DELETED:
            before = _story(*out)
            return before, before
        case K.DELIVERED:
            before = _story(*out)
            signed = Summary(signed_by="本人")
            return before, _merged(before, 30, ("DLV", 30), summary=signed)
        case _:
            return _step(*_by_status(kind, road, out))


def _by_status(kind: ChangeKind, road: tuple[Told, ...], out: tuple[Told, ...]) -> tuple[Document, Told]:
    return {
        K.INFO_RECEIVED: (_story(), ("BKD", 0)),
        K.PICKED_UP: (_story(("BKD", 0)), ("PUP", 2)),
        K.IN_TRANSIT: (_story(*road[:2]), ("ARR", 9)),
        K.OUT_FOR_DELIVERY: (_story(*road), ("OFD", 28)),
        K.DELIVERY_FAILED: (_story(*out), ("FLD/01", 30)),
        K.AVAILABLE_FOR_PICKUP: (_story(*out), ("LOC", 30)),
        K.EXCEPTION: (_story(*road), ("EXC/LOST", 60)),
        K.RETURNING: (_story(*out, ("FLD/01", 30)), ("RTS", 54)),
        K.RETURNED: (_story(*out, ("FLD/01", 30), ("RTS", 54)), ("RTD", 80)),
        K.CANCELLED: (_story(("BKD", 0)), ("CNL", 5)),
    }[kind]


def example(kind: ChangeKind) -> bytes:
    """The body of a change of that kind."""
    old, new = pair(kind)
    before = derive(old) if old else None
    after = derive(new)
    revision = (old.revision if old else 0) + 1 + _place(kind, before, after)
    return change_body(
        kind,
        before,
        after,
        revision=revision,
        now=new.updated_at,
        tracking_url=f"https://parcels.example/parcels/{ID}/vq3mtr7sjl2wy5zcxk6eanbd",
    )


def _place(kind: ChangeKind, before: Shipment | None, after: Shipment) -> int:
    """Where the kind stands among the changes of its commit."""
    return 0 if kind is K.DELETED else changes(before, after).index(kind)
