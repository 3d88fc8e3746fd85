"""Whose a number is: what the forms say, what check digits refuse, and what an account's habits decide."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracker import check_digits
from tracker.catalogue import CatalogueError, listed, posts
from tracker.cli import main
from tracker.detect import Candidate, Form, Hints, decided, detect, forms, read

SHARED = Path(__file__).resolve().parents[3] / "shared" / "tracking-number-formats.json"
OURS = {"canada_post": "canadapost"}  # where the formats' name of a carrier is not our slug
FORMS = [(form, example) for form in forms() for example in form.examples]
CHECKED = [(form, example) for form, example in FORMS if form.check]


def names(number: str, hints: Hints | None = None) -> list[str]:
    return [one.carrier for one in detect(number, hints)]


def owner(form: Form, number: str) -> str:
    return posts()[number[-2:]] if form.carrier == "post" else form.carrier


@pytest.mark.parametrize(("form", "example"), FORMS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_example_of_a_form_is_given_to_its_carrier(form: Form, example: str) -> None:
    assert owner(form, example) in names(example)


@pytest.mark.parametrize(("form", "example"), CHECKED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_check_digit_is_not_given_to_its_carrier(form: Form, example: str) -> None:
    found = re.fullmatch(form.pattern, example)
    assert found
    place = found.start("check")
    others = [digit for digit in string.digits if digit != example[place]]
    wrong = [f"{example[:place]}{digit}{example[place + 1 :]}" for digit in others]
    still = [number for number in wrong if owner(form, example) in names(number)]
    assert all(_has_another_form(owner(form, example), form, number) for number in still)


def _has_another_form(carrier: str, form: Form, number: str) -> bool:
    return any(
        other is not form and owner(other, number) == carrier and re.fullmatch(other.pattern, number)
        for other in forms()
        if other.carrier != "post" or number[-2:] in posts()
    )


@pytest.mark.parametrize(
    ("number", "carriers"),
    [
        ("1Z 999 AA1 01 2345 6784", ["ups"]),
        ("sf1020304050607", ["sf"]),
        ("ＹＴ7001002003004", ["yto"]),
        ("YT2100100200300400", ["yunexpress"]),
        ("JT5001002003004", ["jtexpress"]),
        ("EA404040403CN", ["ems"]),
        ("RB202020207CN", ["chinapost"]),
        ("DPK200100200300", ["deppon"]),
        ("LTN-20304050-N1", ["landmark"]),
        ("1Z999AA10123456785", []),  # its check digit is wrong
        ("RB202020208CN", []),
        ("", []),
        ("?", []),
        ("1" * 5000, []),
    ],
)
def test_a_marked_number_is_its_carriers_alone(number: str, carriers: list[str]) -> None:
    assert names(number) == carriers


def test_digits_alone_are_several_carriers_and_a_right_check_digit_comes_first() -> None:
    found = detect("770012345676")
    assert found[0].carrier == "fedex"
    assert {"sf", "gls"} <= {one.carrier for one in found[1:]}
    assert found[0].confidence > 5 * found[1].confidence


def test_what_has_neither_mark_nor_check_digit_is_never_sure() -> None:
    for form, example in FORMS:
        if not (form.marked or form.check):
            confidence = {one.carrier: one.confidence for one in detect(example)}[form.carrier]
            assert confidence < 0.4, example


def test_habit_and_connections_break_ties_and_invent_nothing() -> None:
    number = "773001002003005"  # fifteen digits that are STO's by their first two, and FedEx's by their check digit
    assert names(number)[0] == "fedex"
    habit = Hints(used={"sto": 900, "zto": 100}, connected={"sto"})
    assert names(number, habit)[0] == "sto"
    assert set(names(number, habit)) == set(names(number))
    assert names("1Z999AA10123456784", Hints(used={"sf": 10_000})) == ["ups"]


def test_patterns_of_an_installed_adapter_count_where_the_catalogue_has_no_form() -> None:
    assert names("AC123456", Hints(numbers={"acme": [r"AC\d{6}"]})) == ["acme"]
    assert names("1Z999AA10123456785", Hints(numbers={"ups": [r"1Z\w{16}"]})) == []


def test_only_a_clear_candidate_decides() -> None:
    far, near = (Candidate("ups", 0.9), Candidate("fedex", 0.02)), (Candidate("zto", 0.3), Candidate("sto", 0.2))
    assert decided(far) == "ups"
    assert decided(near) is None
    assert decided(near, {"sto", "ups"}) == "sto"
    assert decided(near, {"sto", "zto"}) is None
    assert decided(()) is None


def test_the_command_prints_one_line_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "1Z999AA10123456784", "?"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["number"] for one in told] == ["1Z999AA10123456784", "?"]
    assert told[0]["candidates"] == [{"carrier": "ups", "confidence": 0.98}]
    assert told[1]["candidates"] == []


@given(st.text(alphabet=string.ascii_uppercase + string.digits + " -", max_size=40))
@settings(max_examples=300)
def test_confidence_is_between_nought_and_one_and_falls(number: str) -> None:
    found = detect(number)
    assert all(0 < one.confidence <= 1 for one in found)
    assert sum(one.confidence for one in found) <= 1.001
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
    assert {one.carrier for one in found} <= set(listed())


@given(st.text(alphabet=string.digits, min_size=8, max_size=8), st.sampled_from(sorted(posts())))
@settings(max_examples=200)
def test_an_s10_number_is_the_posts_of_its_country(serial: str, country: str) -> None:
    assume(country != "CN")
    number = f"RR{serial}{check_digits.s10(serial)}{country}"
    assert names(number)[0] == posts()[country]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("carrier = 'nobody'\npattern = 'A'\nnote = ''\nexamples = ['A']", "'nobody' is not in carriers.csv"),
        ("carrier = 'sf'\npattern = '['\nnote = ''\nexamples = ['A']", "pattern: "),
        ("carrier = 'sf'\npattern = 'A'\nnote = ''\nexamples = ['B']", "do not fit"),
        ("carrier = 'sf'\npattern = 'A'\nnote = ''\nexamples = []", "has no examples"),
        ("carrier = 'sf'\npattern = 'A'\nnote = ''\nshare = 2.0\nexamples = ['A']", "share 2.0"),
        ("carrier = 'sf'\npattern = 'A'\nnote = ''\ncheck = {by='s10'}\nexamples = ['A']", "no group check"),
        (
            "carrier = 'sf'\npattern = '(?P<serial>..)(?P<check>.)'\nnote = ''\n"
            "check = {by='weighted', weights=[1]}\nexamples = ['123']",
            "check: ",
        ),
        ("carrier = 'sf'\npattern = 'A'\nnote = ''\ncolour = 1\nexamples = ['A']", "colour"),
    ],
)
def test_a_wrong_form_is_named(broken: str, problem: str) -> None:
    with pytest.raises(CatalogueError, match=r"^numbers.toml: ") as refusal:
        read(f"[[format]]\n{broken}\n")
    assert problem in str(refusal.value)


# ---------------------------------------------------------------- held against formats that nobody here wrote


def _cases(kind: str) -> Iterator[tuple[str, str]]:
    for one in json.loads(SHARED.read_text("utf-8")):
        for number in one["examples"][kind]:
            country = "".join(number.split())[-2:]
            yield number, posts()[country] if one["courier"] == "s10" else OURS.get(one["courier"], one["courier"])


with_formats = pytest.mark.skipif(not SHARED.exists(), reason="the formats are not beside the repository")


@with_formats
def test_the_first_candidate_is_right_for_98_of_100_valid_numbers() -> None:
    cases = list(_cases("valid"))
    wrong = [(number, carrier, names(number)) for number, carrier in cases if names(number)[:1] != [carrier]]
    assert all(carrier in found for _, carrier, found in wrong), "a right carrier is not even among the candidates"
    assert len(wrong) <= 0.02 * len(cases), wrong


@with_formats
def test_95_of_100_invalid_numbers_are_not_given_to_their_carrier() -> None:
    cases = list(_cases("invalid"))
    wrong = [(number, carrier) for number, carrier in cases if carrier in names(number)]
    assert len(wrong) <= 0.05 * len(cases), wrong
