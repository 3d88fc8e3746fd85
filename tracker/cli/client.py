"""The command line's way to a running daemon: its REST interface, as any other caller would use it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from tracker.errors import ConfigError, MilepostError

_TIMEOUT_S = 30
_NUMBERS = 100  # that one question may hold
_MOST = 1_000  # corrections in one call


class Refused(MilepostError):
    """The daemon answered, and not as it was asked to; `status` is that of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Client:
    """Asks the daemon at `url` with an API key.

    Raises (every call):
        MilepostError: the daemon can't be reached, or refuses; the message is its own.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = base_of(url)
        self._key = key

    def find(self, number: str) -> list[dict[str, Any]]:
        """The shipments of an id, a waybill or an order number, with their timelines."""
        if number.startswith("shp_"):
            return [self._call("GET", f"/v1/shipments/{urllib.parse.quote(number)}")]
        for name in ("waybill", "order_number"):
            if rows := self._rows(name, number):
                return [self._call("GET", f"/v1/shipments/{row['id']}") for row in rows]
        return []

    def _rows(self, name: str, number: str) -> list[dict[str, Any]]:
        try:
            found = self._call("GET", "/v1/shipments?" + urllib.parse.urlencode({name: number}))
        except Refused as refused:
            if refused.status != 422:
                raise
            return []  # it has not the form of a waybill, and may be an order number all the same
        rows: list[dict[str, Any]] = found["shipments"]
        return rows

    def stalled(self) -> list[dict[str, Any]]:
        """Every stalled shipment."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self._call(
                "GET", "/v1/stalled?" + urllib.parse.urlencode({"limit": 200, **({"cursor": cursor} if cursor else {})})
            )
            rows += page["shipments"]
            cursor = page.get("cursor") or ""
            if not cursor:
                return rows

    def detect(self, numbers: Sequence[str]) -> list[dict[str, Any]]:
        """Whose each number may be, by its form and by the account's habits and connections."""
        found = []
        for start in range(0, len(numbers), _NUMBERS):
            some = urllib.parse.urlencode([("number", number) for number in numbers[start : start + _NUMBERS]])
            found += self._call("GET", f"/v1/detect?{some}")["detections"]
        return found

    def accounts(self) -> list[str]:
        """The accounts that the key may replay: all for an operator's, else its own, ""."""
        if not self._call("GET", "/v1/whoami")["operator"]:
            return [""]
        return [account["name"] for account in self._call("GET", "/v1/accounts")["accounts"]]

    def replay(
        self, account: str, *, carrier: str = "", dry_run: bool = False, limit: int | None = None
    ) -> Iterator[Any]:
        """Page after page of an account's replay, until the end or `limit` corrections."""
        body = {"account": account, "carrier": carrier, "dry_run": dry_run}
        cursor, left = None, limit
        while left is None or left > 0:
            most = None if left is None else min(left, _MOST)
            page = self._call("POST", "/v1/replay", body | {"cursor": cursor, "most": most})
            yield page
            cursor, left = page["cursor"], left and left - len(page["corrections"])
            if cursor is None:
                return

    def askable_order_stores(self) -> list[str]:
        """The order stores of the account that can be asked what their platforms did not push, and are on."""
        platforms = {one["slug"] for one in self._call("GET", "/v1/order-platforms")["platforms"] if one["backfill"]}
        stores = self._call("GET", "/v1/order-stores")["order_stores"]
        return [one["id"] for one in stores if one["enabled"] and one["platform"] in platforms]

    def backfill(self, id: str, since: str | None) -> dict[str, Any]:
        """Have an order store asked what its platform did not push."""
        path = f"/v1/order-stores/{urllib.parse.quote(id, safe='')}/backfill"
        asked: dict[str, Any] = self._call("POST", path, {"since": since})
        return asked

    def keys(self) -> Any:
        """The keys of the account, never their secrets."""
        return self._call("GET", "/v1/keys")

    def create_key(self, name: str, scopes: list[str]) -> Any:
        """A new key; its secret is in this answer and nowhere else."""
        return self._call("POST", "/v1/keys", {"name": name, "scopes": scopes})

    def revoke_key(self, id: str) -> Any:
        """End a key."""
        return self._call("DELETE", f"/v1/keys/{urllib.parse.quote(id)}")

    def rotate_key(self, id: str, overlap_s: int) -> Any:
        """Make a key's successor; the key itself ends after `overlap_s`."""
        return self._call("POST", f"/v1/keys/{urllib.parse.quote(id)}/rotate", {"overlap_s": overlap_s})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method)
        request.add_header("authorization", f"Bearer {self._key}")
        request.add_header("content-type", "application/json")
        try:
            with opened(request, timeout_s=_TIMEOUT_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, refusal(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise MilepostError(f"no daemon answers at {self._url}: {reason}; `milepost serve` starts one") from None
        return json.loads(text) if text else {}


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key would go along, to whatever address it leads to."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Staying)


def opened(request: urllib.request.Request, *, timeout_s: float) -> Any:
    """The daemon's answer, to be closed; raises HTTPError for any but a 2xx, and OSError where nobody answers."""
    return _opener.open(request, timeout=timeout_s)


def base_of(url: str) -> str:
    """The daemon's address, as paths are put behind it; raises ConfigError."""
    parts = urllib.parse.urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(
            "--url: no login stands in the address of a daemon; give a key with --key or $MILEPOST_API_KEY"
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"--url {url}: no address of a daemon; write http://127.0.0.1:8040 (or $MILEPOST_URL)")
    return url.rstrip("/")


def refusal(error: urllib.error.HTTPError) -> str:
    """Why the daemon refuses, in its words; the answer is closed."""
    with error:
        if 300 <= error.code < 400:
            there = urllib.parse.urljoin(error.url, error.headers.get("Location", ""))
            return (
                f"it answered {error.code}, which leads to {there}; no key is sent there: give its address with --url"
            )
        try:
            problem = json.loads(error.read())
        except ValueError:
            return f"the daemon answered {error.code}"
    hint = " (give a key with --key or $MILEPOST_API_KEY)" if error.code == 401 else ""
    wrong = problem.get("errors", ())
    detail = "; ".join(f"{one['field']}: {one['problem']}" for one in wrong) or problem.get("detail", "")
    return f"{problem.get('title', error.code)}: {detail}{hint}"
