"""What an adapter asked and what the carrier answered, as a fixture: `exchange-*.json`.

    {"asks": [{"number": "AC0000000010"}],
     "steps": [
      {"method": "POST", "path": "/oauth/token", "answer": {"access_token": "invented", "expires_in": 3600}},
      {"method": "GET", "path": "/v1/track/AC0000000010", "fixture": "query-delivered.json"}]}

A step's answer stands in it, or is the body of another fixture; `status` is 200 and `content_type` fits the answer
unless they say otherwise. Of a request it keeps method and path alone: what is beside them may be secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from carriers.fixtures import TYPES
from carriers.sdk import Ask, Carrier
from tracker.errors import MilepostError

PREFIX = "exchange-"


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request and its answer."""

    method: str
    path: str  # below the base address, without its query
    status: int = 200
    content_type: str = ""
    fixture: str = ""  # the file beside this one that holds the body
    answer: Any = None  # the body itself: JSON, or a text as it was sent

    def body(self, folder: Path) -> bytes:
        """The answer's bytes."""
        if self.fixture:
            return (folder / self.fixture).read_bytes()
        return self.answer.encode() if isinstance(self.answer, str) else msgspec.json.encode(self.answer)

    def type(self) -> str:
        """The answer's content type."""
        if self.content_type:
            return self.content_type
        if self.fixture:
            return TYPES.get(Path(self.fixture).suffix, "")
        return TYPES[".txt"] if isinstance(self.answer, str) else TYPES[".json"]


class Exchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question to a carrier, step by step."""

    asks: tuple[Ask, ...]
    steps: tuple[Step, ...]
    credentials: Mapping[str, str] = {}  # where the invented ones would not do


class ExchangeError(MilepostError):
    """An exchange can't be read; the message names the file and the field."""


def read(path: Path) -> Exchange:
    """The exchange in a file; ExchangeError where it is none."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Exchange)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeError(f"{path.name}: {error}") from None
    absent = [step.fixture for step in found.steps if step.fixture and not (path.parent / step.fixture).exists()]
    if absent or not found.asks or not found.steps:
        raise ExchangeError(f"{path.name}: {f'no fixture {absent[0]}' if absent else 'needs asks and steps'}")
    return found


def write(path: Path, exchange: Exchange) -> None:
    """Write the exchange, to be read by people too."""
    plain = msgspec.to_builtins(exchange)
    plain["asks"] = [{name: value for name, value in ask.items() if value} for ask in plain["asks"]]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n")


def exchanges(folder: Path) -> list[Path]:
    """The files of the exchanges in a folder of fixtures."""
    return sorted(folder.glob(f"{PREFIX}*.json"))


def invented_credentials(carrier: Carrier, folder: Path) -> dict[str, str]:
    """A value for each credential of the carrier: from `credentials.json` beside the fixtures, else its own name."""
    beside = folder / "credentials.json"
    known = msgspec.json.decode(beside.read_bytes(), type=dict[str, str]) if beside.exists() else {}
    return {one.name: f"invented-{one.name}" for one in carrier.credentials if one.required} | known
