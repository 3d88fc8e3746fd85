"""What `action_type` means, and WeChat's names of the carriers.

The first nine: https://developers.weixin.qq.com/miniprogram/dev/server/API/express/express-by-business/api_getpath.html
The others, by which carriers report (与普通单保持一致):
https://developers.weixin.qq.com/miniprogram/dev/server/API/weixin-express/msgpush/api_deliverypathnotify
Coarse are those under which a carrier files several things: its words say which.
"""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse, codes_at

MILESTONES: dict[str, Meaning] = {
    "100001": M.PICKED_UP,  # 揽件成功
    "100002": (M.EXCEPTION, R.PICKUP_FAILED),  # 揽件失败
    "100003": M.INFO_RECEIVED,  # 分配业务员
    "200001": coarse(M.IN_TRANSIT),  # 更新运输轨迹
    "300002": coarse(M.OUT_FOR_DELIVERY),  # 开始派送
    "300003": coarse(M.DELIVERED),  # 签收成功
    "300004": coarse(M.DELIVERY_FAILED, R.OTHER),  # 签收失败
    "400001": M.CANCELLED,  # 订单取消
    "400002": coarse(M.DELAYED, R.ON_HOLD),  # 订单滞留
    "90001": M.INFO_RECEIVED,  # 网点接单
    "90002": M.INFO_RECEIVED,  # 分配业务员
    "90003": M.INFO_RECEIVED,  # 重新分配业务员
    "90010": M.INFO_RECEIVED,  # 待支付
    "90011": M.INFO_RECEIVED,  # 已支付
    "300005": M.AVAILABLE_FOR_PICKUP,  # 第三方代收入库
    "300006": (M.DELIVERY_FAILED, R.OTHER),  # 第三方代收快递员取出
    "300007": coarse(M.DELIVERED),  # 代签收
    "400003": coarse(M.RETURNING),  # 订单退回
    "400004": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),  # 订单拒收
    "400005": coarse(M.EXCEPTION, R.OTHER),  # 问题件
    "500001": coarse(M.NOTE),  # 其他未分类
}

# delivery_id → our slug. https://developers.weixin.qq.com/miniprogram/dev/server/API/express/express-by-business/api_getalldelivery
CARRIERS = codes_at("wechat")
OUR_SLUGS = {slug: code for code, slug in reversed(CARRIERS.items())}  # of several codes the first
