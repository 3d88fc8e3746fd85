"""La Poste Suivi v2: letters, Colissimo and Chronopost behind one key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    M,
    Meaning,
    ParseError,
    Problem,
    ProblemKind,
    R,
    Reply,
    Report,
    Scan,
    Summary,
    coarse,
    dict_at,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developer.laposte.fr/products/suivi/2/documentation"
BATCH = 10

# The codes of the v2 documentation, with its words. Several stand for more than one thing: there the label decides.
MILESTONES: dict[str, Meaning] = {
    "DR1": M.INFO_RECEIVED,  # déclaratif réceptionné
    "DR2": coarse(M.EXCEPTION, R.OTHER),  # problème lors de la préparation: with the sender, before La Poste has it
    "PC1": M.PICKED_UP,  # pris en charge
    "PC2": M.PICKED_UP,  # pris en charge dans le pays d'expédition
    "ET1": coarse(M.IN_TRANSIT),  # en cours de traitement
    "ET2": coarse(M.IN_TRANSIT),  # … dans le pays d'expédition
    "ET3": coarse(M.IN_TRANSIT),  # … dans le pays de destination
    "ET4": coarse(M.IN_TRANSIT),  # … dans un pays de transit
    "EP1": coarse(M.AT_DELIVERY_DEPOT),  # en attente de présentation: kept until it is brought (again)
    "DO1": M.CUSTOMS_ENTERED,  # entrée en douane
    "DO2": M.CUSTOMS_CLEARED,  # sortie de douane
    "DO3": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # retenu en douane
    "DO4": None,  # duties paid, on the web or at the door
    "ID0": None,  # informations douane
    "PB1": coarse(M.EXCEPTION, R.OTHER),  # problème en cours
    "PB2": coarse(M.IN_TRANSIT),  # problème résolu
    "MD1": coarse(M.OUT_FOR_DELIVERY),  # not in the documentation, like MD3 and DO4
    # "Mis en distribution" by the documentation, and sent when the delivery site has it and prepares the round.
    "MD2": coarse(M.AT_DELIVERY_DEPOT),
    "MD3": (M.DELIVERY_FAILED, R.OTHER),  # brought in vain
    "ND1": coarse(M.EXCEPTION, R.OTHER),  # non distribuable
    "AG1": M.AVAILABLE_FOR_PICKUP,  # en attente d'être retiré au guichet
    "RE1": M.RETURNING,  # retourné à l'expéditeur; with the sender once DI2 says so
    "DI0": M.DELIVERED,  # distribué en lot
    "DI1": M.DELIVERED,  # distribué
    "DI2": M.RETURNED,  # distribué à l'expéditeur
    "DI3": M.DELAYED,  # retardé
}
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "429": ProblemKind.LIMITED,
}
# What the gateway before the service says, by the first word of its code.
GATEWAY = {
    "BAD": ProblemKind.INVALID,
    "UNAUTHORIZED": ProblemKind.REFUSED,
    "FORBIDDEN": ProblemKind.REFUSED,
    "TOO": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each ten numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    headers = {"X-Okapi-Key": http.credentials["okapi_key"], "Accept": "application/json"}
    numbers = ",".join(quote(ask.number, safe="") for ask in asks)
    # English labels: by them a code that says little is judged.
    return await http.request("GET", f"/suivi/v2/idships/{numbers}", headers=headers, params=[("lang", "en_GB")])


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer: an object for one number, a list of them for several; or what the gateway refused."""
    root = read_json(body)
    if isinstance(root, list) and root:
        return [_answer(object_of(row, f"$[{place}]"), f"$[{place}]") for place, row in enumerate(root)]
    return [_answer(object_of(root, "$"), "$")]


def _answer(row: dict[str, Any], path: str) -> Report:
    if row.get("shipment") is not None:
        return _report(dict_at(row, "shipment", path), f"{path}.shipment")
    code, words = text_at(row, "returnCode", path), text_at(row, "returnMessage", path)
    if code:
        kind = PROBLEMS.get(code, ProblemKind.UNAVAILABLE)
        return Report(waybill=text_at(row, "idShip", path), problem=Problem(kind, f"{code}: {words}"))
    code, words = text_at(row, "code", path), text_at(row, "message", path)
    if not code:
        raise ParseError(path, "neither shipment, returnCode nor code")
    kind = GATEWAY.get(code.partition("_")[0], ProblemKind.UNAVAILABLE)
    return Report(waybill="", problem=Problem(kind, f"{code}: {words}"))


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "idShip", path)
    if not waybill:
        raise ParseError(f"{path}.idShip", "missing")
    events = rows_at(row, "event", path)
    scans = [_scan(event, f"{path}.event[{place}]") for place, event in enumerate(events)]
    # The newest comes first, also within a second.
    return Report(waybill=waybill, scans=oldest_first(reversed(scans)), full=True, summary=_summary(row, path))


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(time=moment_at(row, "date", path), code=text_at(row, "code", path), text=text_at(row, "label", path))


def _summary(row: dict[str, Any], path: str) -> Summary:
    context = dict_at(row, "contextData", path)
    partner = text_at(dict_at(context, "partner", path), "reference", path)
    final = text_at(row, "isFinal", path) == "true"  # then both dates tell when it was delivered
    expected = text_at(row, "estimDate", path) or text_at(row, "deliveryDate", path)
    return Summary(
        expected_to=None if final else moment_or_none(expected),
        service=text_at(row, "product", path),
        origin=text_at(context, "originCountry", path),
        destination=text_at(context, "arrivalCountry", path),
        successor=partner if partner != text_at(row, "idShip", path) else "",
    )


carrier = Carrier(
    slug="laposte",
    name="La Poste (Colissimo, Chronopost)",
    name_zh="法国邮政",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.laposte.fr",
    # S10 of France and of Chronopost, Colissimo, registered letters, tracked letters (with or without check character).
    numbers=(r"[A-Z]{2}\d{9}(?:FR|TS|JB|JF)", r"\d[A-Z]\d{11}", r"\d[A-Z]\d{12}", r"87\d{12}[0-9A-Z]?"),
    batch=BATCH,
    fetch=fetch,
    rate=1.0,
    full_history=True,
    credentials=(Credential("okapi_key", "key of the application on developer.laposte.fr (X-Okapi-Key)"),),
)
