"""What Kuaidi100's codes mean: `state` of a whole parcel, `statusCode` of a row, and `status`, the same in words.

https://api.kuaidi100.com/document/5f0ffb5ebc8da837cbd8aefc (实时查询接口).
Coarse are the basic states, which many carriers' rows share: 在途 also labels 驿站代收, 派件 a locker, 退回 its end.
The advanced states (three and four digits) say what they mean.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

CODES: dict[str, Meaning] = {
    "0": coarse(M.IN_TRANSIT),  # 在途
    "1001": coarse(M.HUB_ARRIVED),  # 到达派件城市
    "1002": coarse(M.IN_TRANSIT),  # 干线
    "1003": coarse(M.IN_TRANSIT),  # 转递
    "1": coarse(M.PICKED_UP),  # 揽收
    "101": M.INFO_RECEIVED,  # 已下单
    "102": M.INFO_RECEIVED,  # 待揽收
    "103": M.PICKED_UP,  # 已揽收
    "2": coarse(M.EXCEPTION, R.OTHER),  # 疑难
    "201": coarse(M.EXCEPTION, R.OTHER),  # 超时未签收
    "202": coarse(M.DELAYED),  # 超时未更新
    "203": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),  # 拒收
    "204": coarse(M.DELIVERY_FAILED, R.OTHER),  # 派件异常
    "205": (M.EXCEPTION, R.MISSED_PICKUP),  # 柜或驿站超时未取
    "206": (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE),  # 无法联系
    "207": (M.EXCEPTION, R.OUTSIDE_AREA),  # 超区
    "208": (M.DELAYED, R.ON_HOLD),  # 滞留
    "209": (M.EXCEPTION, R.DAMAGED),  # 破损
    "210": M.CANCELLED,  # 销单
    "3": M.DELIVERED,  # 签收
    "301": M.DELIVERED,  # 本人签收
    "302": M.DELIVERED,  # 派件异常后签收
    "303": M.DELIVERED,  # 代签
    "304": M.DELIVERED,  # 投柜或站签收
    "4": M.RETURNED,  # 退签：寄件人已签收
    "401": M.CANCELLED,  # 已销单
    "14": coarse(M.RETURNED),  # 拒签
    "5": coarse(M.OUT_FOR_DELIVERY),  # 派件
    "501": M.AVAILABLE_FOR_PICKUP,  # 投柜或驿站
    "6": coarse(M.RETURNING),  # 退回
    "7": coarse(M.HANDED_OVER),  # 转投
    "8": coarse(M.CUSTOMS_ENTERED),  # 清关
    "10": M.CUSTOMS_ENTERED,  # 待清关
    "11": M.CUSTOMS_ENTERED,  # 清关中
    "12": M.CUSTOMS_CLEARED,  # 已清关
    "13": (M.EXCEPTION, R.CUSTOMS),  # 清关异常
}
WORDS = {
    "在途": "0",
    "到达派件城市": "1001",
    "干线": "1002",
    "转递": "1003",
    "揽收": "1",
    "揽件": "1",
    "已下单": "101",
    "待揽收": "102",
    "已揽收": "103",
    "疑难": "2",
    "超时未签收": "201",
    "超时未更新": "202",
    "拒收": "203",
    "派件异常": "204",
    "柜或驿站超时未取": "205",
    "无法联系": "206",
    "超区": "207",
    "滞留": "208",
    "破损": "209",
    "销单": "210",
    "签收": "3",
    "本人签收": "301",
    "派件异常后签收": "302",
    "代签": "303",
    "投柜或站签收": "304",
    "退签": "4",
    "已销单": "401",
    "拒签": "14",
    "派件": "5",
    "投柜或驿站": "501",
    "退回": "6",
    "转投": "7",
    "转单": "7",
    "清关": "8",
    "待清关": "10",
    "清关中": "11",
    "已清关": "12",
    "清关异常": "13",
}
MILESTONES: dict[str, Meaning] = CODES | {word: CODES[code] for word, code in WORDS.items()}

# Kuaidi100's carrier code → our slug. https://api.kuaidi100.com/manager/openapi/download/kdbm.do
CARRIERS = codes_at("kuaidi100")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
