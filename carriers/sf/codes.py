"""What SF's codes mean.

opCode: https://open.sf-express.com/developSupport/734349?activeIndex=589678 (路由操作码).
Reason codes stand behind a slash (`70/46`). A code `s401` is a route's secondary status, `s4` its first status
(路由推送接口 RoutePushService), used only where a route carries no opCode.
Coarse codes are those whose remark says more than they do: `80` may be a locker, `31` a hub or the delivering station.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

MILESTONES: dict[str, Meaning] = {
    # 下单、备货
    "135": coarse(M.INFO_RECEIVED),  # 信息记录
    "141": M.INFO_RECEIVED,  # 预售件准备发运
    "151": M.INFO_RECEIVED,  # 分配师傅
    "152": M.INFO_RECEIVED,  # 师傅预约
    "201": M.INFO_RECEIVED,  # 准备拣货
    "205": M.INFO_RECEIVED,  # 仓库内操作：订单审核
    "206": M.INFO_RECEIVED,  # 仓库内操作：拣货
    "646": M.INFO_RECEIVED,  # 包装完成
    "647": M.INFO_RECEIVED,  # 寄方准备快件中
    # 收件
    "41": M.PICKED_UP,  # 交收件联（二程接驳收件）
    "43": M.PICKED_UP,  # 收件入仓
    "46": M.PICKED_UP,  # 二程接驳收件
    "50": M.PICKED_UP,  # 顺丰速运已收取快件
    "51": M.PICKED_UP,  # 一票多件的子件
    "54": M.PICKED_UP,  # 上门收件
    "127": M.PICKED_UP,  # 寄件客户将快件放至丰巢
    "129": M.PICKED_UP,  # 快递员从丰巢收件成功
    "153": M.PICKED_UP,  # 师傅提货
    "188": M.PICKED_UP,  # KC揽收
    "214": M.PICKED_UP,  # 星管家收件
    "607": M.PICKED_UP,  # 代理收件
    "651": M.PICKED_UP,  # SLC已揽件
    "655": M.PICKED_UP,  # 合作点收件
    "676": M.PICKED_UP,  # 顺PHONE收件
    "700": M.PICKED_UP,  # 拍照收件
    "701": M.PICKED_UP,  # 一票多件拍照收件
    "843": M.PICKED_UP,  # 集收入库
    "850": M.PICKED_UP,  # 集收
    "851": M.PICKED_UP,  # 集收
    "950": M.PICKED_UP,  # 快速收件
    "131": (M.EXCEPTION, R.PICKUP_FAILED),  # 快递员从丰巢收件失败
    # 发车、起飞：没有写明地点的，以文字为准
    "10": coarse(M.HUB_DEPARTED),  # 办事处、中转、海关、机场发车
    "30": M.HUB_DEPARTED,  # 完成分拣（原：已装车），准备发往
    "36": M.HUB_DEPARTED,  # 封车：离开…，已在发往…的路上
    "86": M.HUB_DEPARTED,  # 晨配装车
    "88": coarse(M.HUB_DEPARTED),  # 外资航空起飞
    "96": M.HUB_DEPARTED,  # 整车发货
    "105": coarse(M.HUB_DEPARTED),  # 航空起飞
    "136": M.HUB_DEPARTED,  # 落地配装车
    "147": coarse(M.HUB_DEPARTED),  # 整车在途
    "186": M.HUB_DEPARTED,  # KC装车
    "190": coarse(M.HUB_DEPARTED),  # 无人车发车
    "202": coarse(M.HUB_DEPARTED),  # 出库
    "302": M.HUB_DEPARTED,  # 车辆发车
    "304": M.HUB_DEPARTED,  # 离开经停点
    "405": coarse(M.HUB_DEPARTED),  # 船舶离港
    "407": coarse(M.HUB_DEPARTED),  # 接驳点收件出仓
    "570": coarse(M.HUB_DEPARTED),  # 铁路发车
    "830": coarse(M.HUB_DEPARTED),  # 出库
    "844": coarse(M.HUB_DEPARTED),  # 集收出库
    "930": M.HUB_DEPARTED,  # 外配装车
    "3036": M.HUB_DEPARTED,  # 在…车辆已装车发往
    # 到车、落地
    "11": coarse(M.HUB_ARRIVED),  # 办事处到车
    "31": coarse(M.HUB_ARRIVED),  # 快件到达【…】：中转场，或派件的营业点
    "87": M.HUB_ARRIVED,  # 晨配卸车
    "89": coarse(M.HUB_ARRIVED),  # 外资航空落地
    "106": coarse(M.HUB_ARRIVED),  # 航空落地
    "137": M.HUB_ARRIVED,  # 落地配卸车
    "187": M.HUB_ARRIVED,  # KC卸车
    "406": coarse(M.HUB_ARRIVED),  # 船舶到港
    "571": coarse(M.HUB_ARRIVED),  # 铁路到车
    "831": coarse(M.HUB_ARRIVED),  # 入库
    "832": coarse(M.HUB_ARRIVED),  # 入库
    "931": M.HUB_ARRIVED,  # 外配卸车
    # 途中
    "47": coarse(M.IN_TRANSIT),  # 二程接驳
    "98": coarse(M.IN_TRANSIT),  # 代理路由信息
    "189": coarse(M.IN_TRANSIT),  # KC快件交接
    "305": coarse(M.IN_TRANSIT),  # 见于香港件，不在总表内
    "310": coarse(M.IN_TRANSIT),  # 快件途经…
    "501": coarse(M.IN_TRANSIT),  # 快件运输中
    "517": coarse(M.IN_TRANSIT),  # 转寄申请，见于香港件
    "632": coarse(M.IN_TRANSIT),  # 储物柜交接
    "633": coarse(M.IN_TRANSIT),  # 港澳台二程接驳收件
    "634": coarse(M.IN_TRANSIT),  # 港澳台二程接驳派件
    "643": coarse(M.IN_TRANSIT),  # 门市、顺丰站快件转移
    "649": coarse(M.IN_TRANSIT),  # 代理转运
    "656": coarse(M.IN_TRANSIT),  # 合作点交接给顺丰
    "657": coarse(M.IN_TRANSIT),  # 合作点从顺丰交接
    "664": coarse(M.IN_TRANSIT),  # 客户接触点交接
    "921": M.IN_TRANSIT,  # 晨配在途
    "932": coarse(M.IN_TRANSIT),  # 外配交接
    "626": M.HANDED_OVER,  # 到转第三方快递
    "627": M.HANDED_OVER,  # 寄转第三方快递
    # 清关
    "14": M.CUSTOMS_CLEARED,  # 货件已放行
    "606": M.CUSTOMS_CLEARED,  # 清关完成
    "623": M.CUSTOMS_CLEARED,  # 海关数据放行
    "16": M.CUSTOMS_ENTERED,  # 正式报关待申报
    "604": M.CUSTOMS_ENTERED,  # CFS清关
    "605": coarse(M.CUSTOMS_ENTERED),  # 运力抵达口岸
    "612": M.CUSTOMS_ENTERED,  # 暂存口岸待申报
    "15": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # 海关查验
    "17": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # 海关待查
    "619": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # 检疫查验
    "620": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # 检疫待查
    "614": (M.DELAYED, R.CUSTOMS),  # 清关时效延长
    "18": (M.EXCEPTION, R.CUSTOMS),  # 海关扣件
    "621": (M.EXCEPTION, R.CUSTOMS),  # 检疫扣件
    "613": (M.EXCEPTION, R.PAYMENT_DUE),  # 海关放行待补税
    # 派件
    "34": M.OUT_FOR_DELIVERY,  # 滞留件出仓
    "44": coarse(M.OUT_FOR_DELIVERY),  # 原：正在派送途中；今又见：正在分配快递员
    "122": M.OUT_FOR_DELIVERY,  # 加时区域派件出仓
    "123": M.OUT_FOR_DELIVERY,  # 快件正送往顺丰店、站
    "154": M.OUT_FOR_DELIVERY,  # 师傅上门
    "204": M.OUT_FOR_DELIVERY,  # 派件出仓
    "211": M.OUT_FOR_DELIVERY,  # 星管家派件交接
    "212": M.OUT_FOR_DELIVERY,  # 星管家派送
    "630": M.OUT_FOR_DELIVERY,  # 落地配派件出仓
    "677": M.OUT_FOR_DELIVERY,  # 顺手派
    "880": M.OUT_FOR_DELIVERY,  # 上门派件
    "933": M.OUT_FOR_DELIVERY,  # 外配出仓
    # 待取
    "125": M.AVAILABLE_FOR_PICKUP,  # 快递员派件至丰巢
    "130": M.AVAILABLE_FOR_PICKUP,  # 快件到达顺丰店、站
    "642": M.AVAILABLE_FOR_PICKUP,  # 门市、顺丰站快件上架
    "678": M.AVAILABLE_FOR_PICKUP,  # 快件到达驿站
    "658": coarse(M.AVAILABLE_FOR_PICKUP),  # 合作点已派件
    # 派送未成功；原因见文字，或原因代码
    "33": coarse(M.DELIVERY_FAILED, R.OTHER),  # 派件异常原因
    "33/83": coarse(M.AVAILABLE_FOR_PICKUP),  # 改为自取
    "33/85": coarse(M.AVAILABLE_FOR_PICKUP),
    "70": coarse(M.DELIVERY_FAILED, R.OTHER),  # 快件派送不成功
    "70/46": M.CANCELLED,  # 寄方取消
    "70/83": coarse(M.AVAILABLE_FOR_PICKUP),  # 改为自取
    "70/85": coarse(M.AVAILABLE_FOR_PICKUP),
    "126": (M.DELIVERY_FAILED, R.OTHER),  # 快递员取消派件，将快件取出丰巢
    # 滞留、异常
    "66": coarse(M.DELAYED, R.ON_HOLD),  # 中转批量滞留
    "77": coarse(M.DELAYED, R.ON_HOLD),  # 中转滞留
    "833": coarse(M.DELAYED, R.ON_HOLD),  # 滞留件入仓
    "72": coarse(M.EXCEPTION, R.OTHER),  # 标记异常
    "611": coarse(M.EXCEPTION, R.OPERATIONAL),  # 理货异常
    "870": coarse(M.EXCEPTION, R.OTHER),  # 非正常派件
    "934": coarse(M.EXCEPTION, R.OTHER),  # 外配异常
    # 签收
    "80": coarse(M.DELIVERED),  # 已签收；也见：已派送至…自助柜
    "8000": coarse(M.DELIVERED),  # 80 之后：签收人、签收图的说明
    "8000/2": (M.EXCEPTION, R.DISPOSED),  # 销毁
    "8000/6": (M.EXCEPTION, R.LOST),  # 遗失
    "97": M.DELIVERED,  # 整车签收
    "128": M.DELIVERED,  # 客户从丰巢取件成功
    "679": M.DELIVERED,  # 驿站完成派件
    "935": M.DELIVERED,  # 外配签收
    # 退回、转寄；新单号在文字里
    "99": coarse(M.IN_TRANSIT),  # 应客户要求，快件正在转寄中；退回的，文字会写明
    "99/2": M.RETURNING,
    "215": M.RETURNED,  # 星管家退件给客户
    "631": coarse(M.RETURNING),  # 新单退回
    "648": coarse(M.RETURNING),  # 快件已退回、转寄，新单号为
    "660": M.RETURNED,  # 合作点退件给客户
    # 只是说明
    "75": None,  # 混建包复核
    "84": None,  # 重量复核
    "140": None,  # 国际件特殊通知
    # firstStatusCode、secondaryStatusCode
    "s1": M.PICKED_UP,  # 已揽收
    "s2": coarse(M.IN_TRANSIT),  # 运送中
    "s2/204": coarse(M.CUSTOMS_ENTERED),  # 清关中
    "s2/205": coarse(M.CUSTOMS_CLEARED),  # 已清关
    "s3": coarse(M.OUT_FOR_DELIVERY),  # 派送中
    "s4": coarse(M.DELIVERED),  # 已签收
    "s11": M.AVAILABLE_FOR_PICKUP,  # 待自取
    "s13": coarse(M.DELIVERY_FAILED, R.OTHER),  # 待再次派送
}
