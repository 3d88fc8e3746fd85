"""A plan made into the telling of one parcel: places, people and times, the same for the same seed and number."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from msgspec import Struct

from tracker.demo.numbers import is_ready
from tracker.demo.plans import SAYINGS, Plan, Step

HOUR = 3600.0
_CITIES = {
    "杭州市": ("杭州转运中心", "杭州西湖文三路网点"),
    "上海市": ("上海青浦转运中心", "上海浦东张江网点"),
    "北京市": ("北京顺义转运中心", "北京朝阳望京网点"),
    "广州市": ("广州白云转运中心", "广州天河体育西网点"),
    "深圳市": ("深圳宝安转运中心", "深圳南山科技园网点"),
    "成都市": ("成都双流转运中心", "成都武侯桐梓林网点"),
    "武汉市": ("武汉东西湖转运中心", "武汉洪山光谷网点"),
    "西安市": ("西安未央转运中心", "西安雁塔小寨网点"),
    "南京市": ("南京江宁转运中心", "南京鼓楼湖南路网点"),
    "郑州市": ("郑州航空港转运中心", "郑州金水网点"),
    "长沙市": ("长沙雨花转运中心", "长沙岳麓网点"),
    "沈阳市": ("沈阳苏家屯转运中心", "沈阳和平网点"),
}
_ABROAD = {
    "Chicago, IL, US": ("Chicago Gateway", "Chicago North Depot", -360),
    "Hamburg, DE": ("Hamburg Gateway", "Hamburg Altona Depot", 60),
    "London, GB": ("London Gateway", "Croydon Depot", 0),
    "Osaka, JP": ("Osaka Gateway", "Osaka Kita Depot", 540),
}
_EXPORT = ("Hangzhou, CN", "Hangzhou Hub", "Hangzhou West Lake Station")
_COURIERS = ("张**", "李**", "王**", "陈**", "刘**")
_LOCKERS = ("1号楼智能快递柜", "南门驿站", "校园驿站", "小区北门自提点")


class Telling(Struct, frozen=True):
    """One thing that the carrier's records do at `at` (seconds since 1970): gain a scan, or lose it again."""

    at: float
    scan: dict[str, str]
    copies: int = 1
    withdrawn: bool = False


class Journey(Struct, frozen=True):
    """All that will be told of one parcel, in the order of the telling."""

    number: str
    plan: Plan
    facts: dict[str, str]
    tellings: tuple[Telling, ...]
    expected_at: float  # the day that the carrier promises, seconds since 1970


def unfold(number: str, plan: Plan, *, seed: int, start: float, seconds_per_hour: float) -> Journey:
    """The journey of `number`: from `start` on at that pace; of a ready number, in real hours and already over."""
    facts = _facts(random.Random(f"{seed}/{number}"), plan)
    pace = HOUR if is_ready(number) else seconds_per_hour
    span = sum(step.hours for step in plan.steps) * pace
    begin = _past(plan, start, span) if is_ready(number) else start
    tellings = sorted(_tellings(plan, facts, begin, pace), key=lambda telling: telling.at)
    return Journey(number, plan, facts, tuple(tellings), begin + span + 6 * pace)


def _past(plan: Plan, now: float, span: float) -> float:
    quiet = 120 * 24 * HOUR if plan.reaches == "expired" else HOUR / 12
    latest = max((step.late for step in plan.steps), default=0.0)
    return now - quiet - span - latest * HOUR


def _tellings(plan: Plan, facts: dict[str, str], begin: float, pace: float) -> Iterator[Telling]:
    happened = begin
    for place, step in enumerate(plan.steps):
        happened += step.hours * pace
        scan = _scan(step, plan, facts, happened, place)
        told = happened + step.late * pace
        yield Telling(told, scan, step.copies)
        if step.withdrawn:
            yield Telling(told + step.withdrawn * pace, scan, withdrawn=True)


def _scan(step: Step, plan: Plan, facts: dict[str, str], at: float, place: int) -> dict[str, str]:
    say = SAYINGS[step.say]
    offset = int(facts["offset"]) if say.place == "destination" else 480
    code, _, detail = say.code.partition("/")
    return {
        "id": f"{place + 1:03d}",
        "time": iso(at, offset),
        "code": code,
        "detail": detail,
        "text": (say.en if plan.abroad else say.zh).format(**facts),
        "location": facts[say.place],
    }


def iso(at: float, offset: int = 480) -> str:
    """ISO 8601 to the second with an offset in minutes east of UTC."""
    return datetime.fromtimestamp(int(at), timezone(timedelta(minutes=offset))).isoformat()


def _facts(dice: random.Random, plan: Plan) -> dict[str, str]:
    people = {
        "courier": dice.choice(_COURIERS),
        "recipient": "R. ***" if plan.abroad else dice.choice(("本人", "前台", "家人", "物业")),
        "phone": "138****0000",
        "locker": "Locker 12" if plan.abroad else dice.choice(_LOCKERS),
        "weight_g": str(dice.randrange(200, 8000, 50)),
    }
    return people | (_abroad(dice) if plan.abroad else _at_home(dice))


def _at_home(dice: random.Random) -> dict[str, str]:
    origin, way, destination = dice.sample(sorted(_CITIES), 3)
    return {
        "origin": origin,
        "way": way,
        "destination": destination,
        "origin_site": _CITIES[origin][1],
        "first_hub": _CITIES[origin][0],
        "middle_hub": _CITIES[way][0],
        "last_hub": _CITIES[destination][0],
        "depot": _CITIES[destination][1],
        "offset": "480",
    }


def _abroad(dice: random.Random) -> dict[str, str]:
    destination = dice.choice(sorted(_ABROAD))
    gateway, depot, offset = _ABROAD[destination]
    return {
        "origin": _EXPORT[0],
        "way": "Shanghai, CN",
        "destination": destination,
        "origin_site": _EXPORT[2],
        "first_hub": _EXPORT[1],
        "middle_hub": "Shanghai Gateway",
        "last_hub": gateway,
        "depot": depot,
        "offset": str(offset),
    }
