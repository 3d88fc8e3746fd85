"""The carriers of the world, as one table: who moves parcels, whatever the way in which one asks about them.

The table is data for people who do not program (`carriers.csv`, one carrier a line): its slug, its names in 中文 and
English, its home country (ISO 3166) and time zone (IANA), its site, the countries whose national post it is, and its
own code at each aggregator. A cell may hold several codes, parted by blanks; the first is the one to ask with. An empty
cell says that it has none there, or that none is known for certain.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from tracker.errors import MilepostError

AGGREGATORS = ("kuaidi100", "kdniao", "seventeentrack", "aftership", "easypost", "shippo", "wechat")
COLUMNS = ("slug", "zh", "en", "country", "zone", "site", "post", *AGGREGATORS)

_FILE = "carriers.csv"
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,30}")  # as the conformance kit wants an adapter's
_LONGEST_NAME = 100
_SITE = re.compile(r"https://[^\s/]+\.[^\s]+")


class CatalogueError(MilepostError):
    """A table is wrong; the message names each line, the value and what would be right."""


class Listed(Struct, frozen=True, kw_only=True):
    """A carrier as the catalogue lists it."""

    slug: str
    zh: str
    en: str
    country: str  # ISO 3166, two letters: where it is at home
    zone: str  # IANA
    site: str  # https, or ""
    post: tuple[str, ...]  # the countries whose S10 numbers are its own
    codes: Mapping[str, tuple[str, ...]]  # by aggregator, only where it has any


@cache
def listed() -> Mapping[str, Listed]:
    """Every carrier by its slug, in the order of the table; CatalogueError where the table is wrong."""
    return read(files(__name__).joinpath(_FILE).read_text("utf-8"))


@cache
def posts() -> Mapping[str, str]:
    """The slug of the national post, by its country's ISO 3166 code."""
    return {country: one.slug for one in listed().values() for country in one.post}


def codes_at(aggregator: str) -> dict[str, str]:
    """An aggregator's own carrier codes → our slugs; of several codes of a carrier the one to ask with comes first."""
    return {code: one.slug for one in listed().values() for code in one.codes.get(aggregator, ())}


def named(name: str) -> str:
    """The slug of the carrier of that name: its own, in either language, or a code at an aggregator; "" for no one's,
    and for a name that several have. Case, blanks and punctuation do not count."""
    return _names().get(_plain(name), "")


@cache
def _names() -> Mapping[str, str]:
    """Plain name → slug. Names go before codes: what a carrier calls itself is not another's code."""
    codes = _unique((code, one.slug) for one in listed().values() for some in one.codes.values() for code in some)
    return codes | _unique((name, one.slug) for one in listed().values() for name in (one.slug, one.zh, one.en))


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    whose: dict[str, set[str]] = {}
    for name, slug in pairs:
        whose.setdefault(_plain(name), set()).add(slug)
    return {name: min(slugs) for name, slugs in whose.items() if name and len(slugs) == 1 and not name.isdecimal()}


def _plain(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", name[:_LONGEST_NAME]).casefold() if char.isalnum())


# ---------------------------------------------------------------- reading


def read(text: str) -> dict[str, Listed]:
    """The table as carriers by slug, checked strictly."""
    rows = list(csv.reader(text.splitlines()))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise CatalogueError(f"{_FILE} line 1: must be {','.join(COLUMNS)}")
    numbered = list(enumerate(rows[1:], 2))
    wrong = [f"{_FILE} line {line}: {problem}" for line, row in numbered for problem in _problems(row)]
    if not wrong:
        wrong = [f"{_FILE} line {line}: {problem}" for line, problem in _repeated(numbered)]
    if wrong:
        raise CatalogueError("\n".join(wrong))
    return {row[0]: _listed(row) for _, row in numbered}


def _listed(row: list[str]) -> Listed:
    cells = dict(zip(COLUMNS, row, strict=True))
    codes = {name: tuple(cells.pop(name).split()) for name in AGGREGATORS}
    return Listed(
        post=tuple(cells.pop("post").split()), codes={name: some for name, some in codes.items() if some}, **cells
    )


def _problems(row: list[str]) -> Iterator[str]:
    if len(row) != len(COLUMNS):
        yield f"has {len(row)} cells, needs {len(COLUMNS)}"
        return
    cells = dict(zip(COLUMNS, row, strict=True))
    for name, cell in cells.items():
        if cell != " ".join(cell.split()):
            yield f"{name} {cell!r} has blanks too many"
    if not _SLUG.fullmatch(cells["slug"]):
        yield f"slug {cells['slug']!r} must be up to 31 of a-z, 0-9 and _, a letter first"
    for name in ("zh", "en"):
        if not cells[name]:
            yield f"{name} is empty: a carrier has a name in both languages"
    for country in (cells["country"], *cells["post"].split()):
        if country not in _countries():
            yield f"{country!r} is no ISO 3166 code of two letters"
    if not _is_zone(cells["zone"]):
        yield f"zone {cells['zone']!r} is no IANA time zone like Asia/Shanghai"
    if cells["site"] and not _SITE.fullmatch(cells["site"]):
        yield f"site {cells['site']!r} must be empty or begin with https://"


def _repeated(numbered: list[tuple[int, list[str]]]) -> Iterator[tuple[int, str]]:
    """What must stand once in its column and stands again: slugs, posts of a country, codes of an aggregator."""
    for place, name in enumerate(COLUMNS):
        if name not in ("slug", "post", *AGGREGATORS):
            continue
        first: dict[str, int] = {}
        for line, row in numbered:
            for word in row[place].split():
                if first.setdefault(word, line) != line:
                    yield line, f"{name} {word!r} stands in line {first[word]} already"


@cache
def _countries() -> frozenset[str]:
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    return frozenset(line[:2] for line in table.splitlines() if not line.startswith("#"))


@cache
def _is_zone(name: str) -> bool:
    try:
        return bool(name) and ZoneInfo(name).key == name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
