"""Personal data in carriers' words: phones, mail addresses, identity numbers, and with `ALL` names and house numbers.

Pure. A masked text is never longer than it was, masking it again changes nothing, and what phrases read in it stays.
A carrier's own hotline (400, 800, 95…), who signs as a role (前台, neighbour) and where a parcel waits to be picked up
are no personal data.
"""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import structs

from tracker.model import Document, Kept, Report, Scan, Source, Summary
from tracker.timeline.receipts import reworded

STARS = "***"


class Mask(StrEnum):
    """What is masked."""

    OFF = "off"
    CONTACT = "contact"  # phones, mail addresses, identity numbers
    ALL = "all"  # names and house numbers too


_BEFORE, _AFTER = r"(?<![\w.*+/-])", r"(?![A-Za-z0-9*_])"
_CJK_BEFORE = r"(?<![A-Za-z0-9_.*+/-])"  # a Chinese word may stand right before a number
_CONTACT = (
    re.compile(r"(?<![\w.+*-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}", re.ASCII),
    # an identity number: region, day of birth, order, check digit (GB 11643)
    re.compile(
        _CJK_BEFORE + r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]" + _AFTER, re.ASCII
    ),
    # a mobile number in China, a landline there, one with a country's code, one as written in America
    re.compile(_CJK_BEFORE + r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}" + _AFTER, re.ASCII),
    re.compile(_CJK_BEFORE + r"\(?0\d{2,3}\)?[- ]\d{3,4}[- ]?\d{4}(?:[-转]\d{1,6})?" + _AFTER, re.ASCII),
    re.compile(r"(?<![A-Za-z0-9_*])\+\d{1,3}(?:[ ().-]{0,2}\d){7,13}" + _AFTER, re.ASCII),
    re.compile(_CJK_BEFORE + r"(?:\((?!8)\d{3}\) ?|(?![48]00)\d{3}[-. ])\d{3}[-. ]\d{4}" + _AFTER, re.ASCII),
)
_LABELLED = re.compile(
    r"(?P<label>电话|手机号?码?|联系方式|(?i:\b(?:tel|phone|mobile|cell)\b\.?))(?P<gap>[^\w+*\n]{0,4})"
    r"(?!400|800|95)\+?\d(?:[ ()-]?\d){6,14}" + _AFTER
)

_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    "余潘杜戴夏钟汪田任姜范石"
    "姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙段雷钱汤尹黎易武乔贺赖龚欧阳司徒"
)
_MORE_SURNAMES = "于高方万常施章严洪温芦卓温莫翁申葛鲁韦涂殷路俞向樊裴齐柳柯毕穆詹游庄宁祝季聂古耿覃岳骆冉牛阮甘"
_WHO = (
    r"(?:签收人|收件人|收货人|寄件人|联系人|(?:快递)?小哥"
    r"|(?:快递|派件|派送|配送|投递|揽收|揽投|收派|收件|业务|小件)员)(?:姓名)?"
)
_AFTER_NAME = r"(?=$|[^\u4e00-\u9fff·]|先生|女士|正在|已|电话|手机|为您|将)"
_NAMES = (
    re.compile(
        rf"(?P<label>{_WHO}\s{{0,2}}[:：【\[（(]\s{{0,2}})"
        rf"(?P<name>[{_SURNAMES}{_MORE_SURNAMES}][\u4e00-\u9fff·]{{1,3}}?){_AFTER_NAME}"
    ),
    # 由…签收: what begins like a name and is at once followed by what was done; 由于 begins a reason
    re.compile(
        rf"(?P<label>由[\s【\[（(]{{0,2}}(?!于))(?P<name>[{_SURNAMES}{_MORE_SURNAMES}][\u4e00-\u9fff·]{{1,2}}?)"
        r"(?=[\s】\]）)]{0,2}(?:先生|女士)?\s?代?(?:签收|收取|领取|取走|收件))"
    ),
    re.compile(
        rf"(?P<label>{_WHO}[是为]\s{{0,2}})(?P<name>[{_SURNAMES}{_MORE_SURNAMES}][\u4e00-\u9fff·]{{1,3}}?){_AFTER_NAME}"
    ),
    re.compile(rf"(?P<label>{_WHO}\s{{0,2}})(?P<name>[{_SURNAMES}][\u4e00-\u9fff·]{{1,2}}?){_AFTER_NAME}"),
    re.compile(
        r"(?P<label>(?i:\b(?:signed(?: for)? by|received by|signatory|recipient name|unterschrieben von|signé par"
        r"|firmado por|recibido por|firmato da|assinado por|recebido por|courier name|driver name)\b)"
        r"\s{0,2}[:.]?\s{0,2})"
        r"(?P<name>[A-ZÀ-Þ][\w'’.-]{0,30}(?: (?:[A-ZÀ-Þ][\w'’.-]{0,30}|de|da|van|von)){0,3})"
    ),
)
_HOUSES = (
    re.compile(r"(?<=[路街巷弄道])\d{1,5}(?=号)"),
    re.compile(r"\d{1,5}(?=号楼|栋|幢|单元|室)"),
    re.compile(
        r"(?<![\w*-])\d{1,5}(?= [A-Z][a-z]{1,20}(?: [A-Z][a-z]{1,20})?"
        r" (?:Street|Avenue|Road|Lane|Drive|Boulevard|Court|St|Ave|Rd|Ln|Dr)\b)"
    ),
)
# Whoever signs so is no person that one could find.
_ROLES = re.compile(
    "本人|他人|家人|家属|同事|同学|朋友|邻居|前台|物业|门卫|门口|保安|单位|公司|代收|代签|收发室|传达室|柜|驿站|超市|便利店|店|其他"
    r"|(?i:front|desk|recept|neigh|mail|dock|guard|security|agent|locker|concierge|house|family|self|resident|released"
    r"|partner|customer|consignee|addressee|recipient|signature|office|store|shop|individual|person|door|post|depot"
    r"|carrier|unknown|none|other|the\b|hub|sub-?con|station|cent(?:er|re)|terminal|facility|branch|airline|customs"
    r"|warehouse|city|logistic|express|courier|driver|team|local)"
)
_PICK_UP = re.compile("驿站|超市|店|柜|代收|自提|取件|服务|(?i:locker|pick-?up|collect|parcel ?shop)")  # must be found


def mask(text: str, how: Mask = Mask.ALL) -> str:
    """The text without the personal data that `how` names."""
    if how is Mask.OFF or not text:
        return text
    while True:  # what is masked can part what stood together; each turn leaves fewer letters and digits
        masked = _once(text, how)
        if masked == text:
            return text
        text = masked


def mask_name(name: str, how: Mask) -> str:
    """A name that stands alone: whoever signed. A role stays."""
    if how is Mask.ALL and name and not _ROLES.search(name):
        return STARS[: len(name)]
    return mask(name, how)


def mask_report(report: Report, how: Mask) -> Report:
    """What one body said of one waybill, masked; the numbers of parcels stay."""
    if how is Mask.OFF:
        return report
    problem = report.problem
    return structs.replace(
        report,
        scans=tuple([mask_scan(scan, how) for scan in report.scans]),
        summary=_summary(report.summary, how) if report.summary else None,
        problem=structs.replace(problem, text=mask(problem.text, how)) if problem else None,
    )


def mask_document(document: Document, how: Mask) -> Document:
    """A stored document, masked; its milestones stay."""
    if how is Mask.OFF:
        return document
    return reworded(document, lambda scan: _kept(scan, how), lambda source: _source(source, how))


def _kept(scan: Kept, how: Mask) -> Kept:
    text, location = mask(scan.text, how), mask(scan.location, how)
    return (
        scan if (text, location) == (scan.text, scan.location) else structs.replace(scan, text=text, location=location)
    )


def _source(source: Source, how: Mask) -> Source:
    problem, status = source.problem, source.status
    return structs.replace(
        source,
        summary=_summary(source.summary, how) if source.summary else None,
        status=_kept(status, how) if status else None,
        problem=structs.replace(problem, text=mask(problem.text, how)) if problem else None,
    )


def as_kept(report: Report, document: Document) -> Report:
    """The report with the masked words under which the document has its scans already, as after masking was lessened.

    Else the same scan would stand there twice.
    """
    stored = {(scan.time.wall, scan.code, scan.text) for scan in document.scans}
    masked = {name for name in stored if "*" in name[2]}
    moments = {wall for wall, _, _ in masked}
    if not any(scan.time and scan.time.wall in moments for scan in report.scans):
        return report

    def known(scan: Scan) -> Scan:
        if scan.time is None or (scan.time.wall, scan.code, scan.text) in stored:  # most are, in a polled history
            return scan
        for how in (Mask.CONTACT, Mask.ALL):
            other = mask_scan(scan, how)
            if other is not scan and (scan.time.wall, scan.code, other.text) in masked:
                return other
        return scan

    return structs.replace(report, scans=tuple(map(known, report.scans)))


def mask_scan(scan: Scan, how: Mask) -> Scan:
    """A scan, masked."""
    text, location = mask(scan.text, how), mask(scan.location, how)
    return (
        scan if (text, location) == (scan.text, scan.location) else structs.replace(scan, text=text, location=location)
    )


def _summary(summary: Summary, how: Mask) -> Summary:
    status = mask_scan(summary.status, how) if summary.status else None
    return structs.replace(summary, status=status, signed_by=mask_name(summary.signed_by, how))


def _once(text: str, how: Mask) -> str:
    for pattern in _CONTACT:
        text = pattern.sub(STARS, text)
    text = _LABELLED.sub(rf"\g<label>\g<gap>{STARS}", text)
    if how is Mask.CONTACT:
        return text
    for pattern in _NAMES:
        text = pattern.sub(_without_name, text)
    for pattern in () if _PICK_UP.search(text) else _HOUSES:
        text = pattern.sub("*", text)
    return text


def _without_name(found: re.Match[str]) -> str:
    return found[0] if _ROLES.search(found["name"]) else found["label"] + STARS[: len(found["name"])]
