"""What Canada Post's event identifiers mean, without their leading zeros."""

from __future__ import annotations

from carriers.sdk import M, Meaning, R, coarse

# Tracking scan events, https://www.canadapost-postescanada.ca/info/mc/business/productsservices/developers/messagescodetables.jsf
# (610 to 620, which say where at the address an item is but not whether it was left there, are left to their words).
ON_ITS_WAY: dict[str, Meaning] = {
    "3000": M.INFO_RECEIVED,  # electronic information submitted by the shipper
    "3002": M.INFO_RECEIVED,  # return label created
    **dict.fromkeys(("1300", "1301", "1302", "1303", "2300", "4000"), M.PICKED_UP),
    **dict.fromkeys(("100", "101", "103", "104", "105", "107", "1240", "1244", "2500", "2501"), coarse(M.PICKED_UP)),
    **dict.fromkeys(("1400", "1401", "1402", "1403", "1404"), coarse(M.PICKED_UP)),
    **dict.fromkeys(("102", "106", "170", "1241", "815"), coarse(M.IN_TRANSIT)),  # item processed
    **dict.fromkeys(("175", "804", "1480", "1490", "1703", "1705", "4550"), M.IN_TRANSIT),
    **dict.fromkeys(("113", "400", "405", "4100", "4310", "4311", "4900", "700"), coarse(M.HUB_ARRIVED)),
    **dict.fromkeys(("114", "410", "4202", "4950", "8901"), coarse(M.HUB_DEPARTED)),
    **dict.fromkeys(("115", "116"), M.HANDED_OVER),  # to a partner
    **dict.fromkeys(("701", "800", "2601", "4330", "4400"), M.CUSTOMS_ENTERED),
    **dict.fromkeys(("127", "810", "1487", "1495"), (M.CUSTOMS_ENTERED, R.CUSTOMS)),  # held; back for an appeal
    **dict.fromkeys(("130", "900", "910", "4500", "5201"), M.CUSTOMS_CLEARED),
    "4450": coarse(M.CUSTOMS_CLEARED),  # back from customs
    "4600": M.AT_DELIVERY_DEPOT,
    **dict.fromkeys(("174", "500"), M.OUT_FOR_DELIVERY),
}
ARRIVED: dict[str, Meaning] = {
    **dict.fromkeys(("1408", "1409"), M.DELIVERED),  # signed for
    **dict.fromkeys(map(str, range(1421, 1435)), M.DELIVERED),  # doors, garage, concierge, parcel box, safe place
    **dict.fromkeys(("1441", "1442"), M.DELIVERED),  # community mailbox
    **dict.fromkeys(("1461", "1462", "1463", "1465", "1466", "1467", "1468", "1469"), M.DELIVERED),  # mailroom
    **dict.fromkeys(("1471", "1472", "1473", "1475", "1476"), M.DELIVERED),
    **dict.fromkeys(("1496", "1497", "1498", "1499", "5300"), M.DELIVERED),
    "1405": M.AVAILABLE_FOR_PICKUP,  # in an automated locker
    "1406": M.DELIVERED,  # fetched from it
    **dict.fromkeys(("1407", "2407", "1701", "156"), M.AVAILABLE_FOR_PICKUP),
    **dict.fromkeys(("1435", "1436", "1437", "1438", "1479", "1488"), M.AVAILABLE_FOR_PICKUP),  # a card says where
    **dict.fromkeys(("1410", "2410"), coarse(M.AVAILABLE_FOR_PICKUP)),  # kept as the recipient asked
}
IN_TROUBLE: dict[str, Meaning] = {
    **dict.fromkeys(("1200", "1203", "1414", "1444", "2414"), M.DELAYED),  # a new day
    **dict.fromkeys(map(str, range(621, 629)), M.DELAYED),
    "159": (M.DELAYED, R.WEATHER),
    **dict.fromkeys(("160", "161", "162", "163"), (M.DELAYED, R.OPERATIONAL)),
    "172": (M.DELAYED, R.MISSORTED),
    **dict.fromkeys(("171", "173", "1412", "2412"), (M.DELAYED, R.ADDRESS_PROBLEM)),
    **dict.fromkeys(("1411", "2411"), (M.DELIVERY_FAILED, R.CLOSED)),
    **dict.fromkeys(("1443", "630"), (M.DELIVERY_FAILED, R.OTHER)),
    "117": (M.EXCEPTION, R.ON_HOLD),  # documents
    "118": (M.EXCEPTION, R.OUTSIDE_AREA),
    "120": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "121": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "150": (M.EXCEPTION, R.DISPOSED),
    "629": (M.EXCEPTION, R.MISSED_PICKUP),  # the locker's time is over
    "710": (M.EXCEPTION, R.DAMAGED),
    **dict.fromkeys(("1484", "1494", "4700"), coarse(M.EXCEPTION, R.ON_HOLD)),
    **dict.fromkeys(("179", "1450", "1483", "1493", "4650"), (M.EXCEPTION, R.OTHER)),  # undeliverable mail office
    "190": M.CANCELLED,  # the sale was voided
}
BACK: dict[str, Meaning] = {
    "167": (M.RETURNING, R.PAYMENT_DUE),  # postage
    **dict.fromkeys(("168", "169", "181", "183", "2802"), (M.RETURNING, R.OTHER)),
    "182": (M.RETURNING, R.CUSTOMS),
    "184": (M.RETURNING, R.PROHIBITED),
    "1100": (M.RETURNING, R.CUSTOMS),
    **dict.fromkeys(("1415", "1416", "1481", "1491"), (M.RETURNING, R.ADDRESS_PROBLEM)),
    **dict.fromkeys(("1417", "1482", "1492"), (M.RETURNING, R.RECIPIENT_REFUSED)),
    "1418": (M.RETURNING, R.OTHER),  # no proof of age
    "1419": (M.RETURNING, R.MISSED_PICKUP),
    **dict.fromkeys(("1420", "2600", "3001"), M.RETURNING),
}
# The same identifiers on the way back, which Canada Post says in words only: `/sender` is our step of the path.
TO_SENDER: dict[str, Meaning] = {
    **dict.fromkeys(
        ("174/sender", "500/sender", "1412/sender", "2412/sender", "1479/sender", "1703/sender"), M.RETURNING
    ),
    **dict.fromkeys(("1496/sender", "1497/sender", "1498/sender", "1499/sender"), M.RETURNED),
}
NOTES: dict[str, Meaning] = {
    **dict.fromkeys(("20", "21", "2001")),  # signature, photo
    **dict.fromkeys(("152", "2101", "1210", "1214", "1215", "1216")),  # money
    **dict.fromkeys(("1220", "1221", "1223", "1224", "1225")),  # where to leave it
    **dict.fromkeys(("1230", "1232", "1234", "1245", "198")),  # a redirection asked for; a label mended
}
MILESTONES: dict[str, Meaning] = ON_ITS_WAY | ARRIVED | IN_TROUBLE | BACK | TO_SENDER | NOTES
