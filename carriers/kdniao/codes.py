"""What KDNiao's states mean: `State` and `StateEx` of a parcel, `Action` of a row share one list of numbers.

https://www.kdniao.com/api-monitor (在途监控, 物流状态). Coarse are the basic states, which say less than the words of
a row, and those that KDNiao concludes from the words.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

MILESTONES: dict[str, Meaning] = {
    "0": None,  # 暂无轨迹信息
    "10": M.INFO_RECEIVED,  # 待揽件
    "1": coarse(M.PICKED_UP),  # 已揽收
    "2": coarse(M.IN_TRANSIT),  # 在途中
    "201": coarse(M.HUB_ARRIVED),  # 到达派件城市
    "202": M.OUT_FOR_DELIVERY,  # 派件中
    "204": M.HUB_ARRIVED,  # 到达转运中心
    "205": M.AT_DELIVERY_DEPOT,  # 到达派件网点
    "206": M.HUB_DEPARTED,  # 寄件网点发件
    "211": M.AVAILABLE_FOR_PICKUP,  # 已放入快递柜或驿站
    "3": coarse(M.DELIVERED),  # 已签收
    "301": M.DELIVERED,  # 正常签收
    "302": M.DELIVERED,  # 异常后最终签收
    "304": coarse(M.DELIVERED),  # 代收签收：由非收件人本人代签
    "311": coarse(M.DELIVERED),  # 快递柜或驿站签收：取出，或只是入柜，以文字为准
    "4": coarse(M.EXCEPTION, R.OTHER),  # 问题件
    "401": coarse(M.EXCEPTION, R.OTHER),  # 发货无信息
    "402": coarse(M.EXCEPTION, R.OTHER),  # 超时未签收：派件后 36 小时
    "403": coarse(M.DELAYED),  # 超时未更新：5 天
    "404": coarse(M.RETURNING, R.RECIPIENT_REFUSED),  # 拒收（退件）
    "405": coarse(M.DELIVERY_FAILED, R.OTHER),  # 派件异常
    "406": M.RETURNED,  # 退货签收：由寄件人签收
    "407": M.RETURNING,  # 退货未签收
    "412": (M.EXCEPTION, R.MISSED_PICKUP),  # 快递柜或驿站超时未取：18 小时
    "413": (M.EXCEPTION, R.ON_HOLD),  # 单号已拦截
    "414": (M.EXCEPTION, R.DAMAGED),  # 破损
    "415": M.CANCELLED,  # 客户取消发货
    "416": (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE),  # 无法联系
    "417": coarse(M.DELAYED),  # 配送延迟
    "418": (M.DELIVERY_FAILED, R.OTHER),  # 快件取出：快递员从柜中取出，不是收件人
    "419": coarse(M.DELIVERY_FAILED, R.OTHER),  # 重新派送：与客户约定再派
    "420": (M.EXCEPTION, R.ADDRESS_PROBLEM),  # 收货地址不详细
    "421": (M.EXCEPTION, R.RECIPIENT_UNREACHABLE),  # 收件人电话错误
    "422": (M.EXCEPTION, R.MISSORTED),  # 错分件
    "423": (M.EXCEPTION, R.OUTSIDE_AREA),  # 超区件
    "5": coarse(M.IN_TRANSIT),  # 转寄到新地址
    "6": coarse(M.CUSTOMS_ENTERED),  # 清关
    "601": M.CUSTOMS_ENTERED,  # 待清关
    "602": M.CUSTOMS_ENTERED,  # 清关中
    "603": M.CUSTOMS_CLEARED,  # 已清关
    "604": (M.EXCEPTION, R.CUSTOMS),  # 清关异常
}

# KDNiao's carrier code → our slug; of two codes of one carrier the first is asked.
# https://www.kdniao.com/documents (快递公司编码)
CARRIERS = codes_at("kdniao")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
