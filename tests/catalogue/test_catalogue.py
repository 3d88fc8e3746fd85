"""The table of carriers: checked strictly, complete, and at one with the adapters that name carriers of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers.registry import load
from carriers.sdk import Carrier
from tracker import catalogue
from tracker.catalogue import AGGREGATORS, COLUMNS, CatalogueError, codes_at, listed, named, posts, read
from tracker.cli import main

TABLE = Path(catalogue.__file__).with_name("carriers.csv").read_text("utf-8")
HEAD = ",".join(COLUMNS)
ACME = "acme,极速,Acme Post,DE,Europe/Berlin,https://acme.example,,jisu,,,,,,"
REGISTRY, _ = load()


def changed(**cells: str) -> str:
    row = dict(zip(COLUMNS, ACME.split(","), strict=True)) | cells
    return f"{HEAD}\n{','.join(row.values())}\n"


def test_the_table_lists_the_carriers_of_the_world() -> None:
    assert len(listed()) >= 110
    assert {"sf", "zto", "yto", "sto", "yunda", "jd", "jtexpress", "ems", "deppon", "cainiao"} <= set(listed())
    assert {"ups", "usps", "fedex", "dhl", "gls", "laposte", "royalmail", "hermes", "canadapost"} <= set(listed())
    assert listed()["sf"].zh == "顺丰速运"
    assert listed()["royalmail"].zone == "Europe/London"


def test_every_carrier_has_both_names_and_a_home() -> None:
    assert all(one.zh and one.en and one.country and one.zone for one in listed().values())


def test_a_country_leads_to_its_post() -> None:
    assert (posts()["GB"], posts()["US"], posts()["FR"], posts()["LI"]) == ("royalmail", "usps", "laposte", "swisspost")


def test_the_first_of_several_codes_is_the_one_to_ask_with() -> None:
    assert listed()["dhl"].codes["seventeentrack"] == ("100001", "7041")
    assert [code for code, slug in codes_at("seventeentrack").items() if slug == "dhl"] == ["100001", "7041"]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"slug": "Acme"}, "slug 'Acme'"),
        ({"zh": ""}, "zh is empty"),
        ({"country": "XX"}, "'XX' is no ISO 3166 code"),
        ({"post": "DE QQ"}, "'QQ' is no ISO 3166 code"),
        ({"zone": "Europe/Bonn"}, "zone 'Europe/Bonn'"),
        ({"zone": ""}, "zone ''"),
        ({"site": "http://acme.example"}, "must be empty or begin with https://"),
        ({"kuaidi100": "a  b"}, "blanks too many"),
        ({"wechat": ",more"}, "has 15 cells, needs 14"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(cells: dict[str, str], problem: str) -> None:
    with pytest.raises(CatalogueError) as refusal:
        read(changed(**cells))
    assert str(refusal.value).startswith("carriers.csv line 2: ")
    assert problem in str(refusal.value)


@pytest.mark.parametrize("name", ["slug", "post", "kuaidi100"])
def test_what_must_stand_once_may_not_stand_twice(name: str) -> None:
    twice = changed(post="DE") + changed(slug="other", post="AT", kuaidi100="qita").splitlines()[1]
    read(twice)
    again = {"slug": ("other", "acme"), "post": ("AT", "DE"), "kuaidi100": ("qita", "jisu")}[name]
    with pytest.raises(CatalogueError, match=f"line 3: {name} .* stands in line 2 already"):
        read(twice.replace(*again))


def test_a_table_with_other_columns_is_refused() -> None:
    with pytest.raises(CatalogueError, match="line 1"):
        read(TABLE.replace("slug,zh", "zh,slug", 1))
    with pytest.raises(CatalogueError, match="line 1"):
        read("")


@pytest.mark.parametrize("carrier", [one for one in REGISTRY if one.slug in AGGREGATORS], ids=lambda one: one.slug)
def test_an_aggregators_adapter_and_the_catalogue_say_the_same(carrier: Carrier) -> None:
    assert set(carrier.carriers.values()) <= set(listed()), "a slug that the catalogue does not list"
    ours = codes_at(carrier.slug)
    disagreements = {
        code: (slug, ours[code]) for code, slug in carrier.carriers.items() if ours.get(code, slug) != slug
    }
    assert not disagreements, "code: (the adapter's slug, the catalogue's)"


def test_a_registration_may_name_every_carrier_of_the_catalogue() -> None:
    assert set(listed()) <= set(REGISTRY.known())


def test_the_command_names_every_carrier_and_the_way_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["carriers", "--all", "--json"]) == 0
    rows = {row["slug"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["zto"]["name_zh"] == "中通快递"
    assert rows["zto"]["ways"].startswith("through ")
    assert rows["sf"]["ways"].startswith("query push")
    assert main(["carriers", "--all"]) == 0
    assert "圆通速递" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("SF Express", "sf"),
        ("顺丰速运", "sf"),
        ("sf-express", "sf"),
        ("J&T  EXPRESS", "jtexpress"),
        ("190455", ""),  # an aggregator's number is no name
        ("Tea House", ""),
        ("", ""),
    ],
)
def test_a_carrier_is_known_by_any_of_its_names(name: str, slug: str) -> None:
    assert named(name) == slug


def test_every_carrier_answers_to_its_slug() -> None:
    assert [slug for slug in listed() if named(slug) != slug] == []
