"""What the pages name is there: files, headings, commands, settings, calls, metrics, tests."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracker.api import TABLE
from tracker.api.problems import CATALOGUE
from tracker.cli import command_line
from tracker.config.loading import ENV
from tracker.config.names import names
from tracker.stall import DEFAULT, HOUR

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "carriers").rglob("*.md"),
        *(ROOT / "tracker").rglob("*.md"),
    ]
)
MANUAL = [page for page in PAGES if page.parent in (ROOT, ROOT / "docs")]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_of_the_manual = pytest.mark.parametrize("page", MANUAL, ids=name_of)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """What a page shows as code: spans, which may go over a line's end, and the lines of its blocks."""
    blocks = re.findall(r"^ *```.*?\n(.*?)^ *```$", text_of(page), re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^    (\S.*)$", prose(page), re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", prose(page))
    return [*(" ".join(span.split()) for span in spans), *indented, *"\n".join(blocks).splitlines()]


def anchors(page: Path) -> set[str]:
    """The headings as GitHub addresses them; the second of a name gets `-1`."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_there_are(page: Path) -> None:
    """A page that moves and a heading that is worded anew take along who points at them."""
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [subparsers] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(subparsers.choices)


def told(page: Path) -> Iterator[list[str]]:
    """Each call of `milepost` in the code of a page, in words."""
    for line in code(page):
        for call in re.findall(r"(?:^|[\s/(=])milepost (?=[a-z-])([^|&;)#]*)", line):
            yield shlex.split(call.replace("…", ""))


@every_page
def test_every_command_and_option_that_a_page_tells_is_one(page: Path) -> None:
    """What a reader types from a page is taken by the command line."""
    known = commands(command_line())
    unknown = []
    for command, *words in told(page):
        options = known[command]._option_string_actions if command in known else {}
        wrong = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
        if command not in known or wrong:
            unknown.append(" ".join([command, *words]))
    assert unknown == []


SECTIONS = sorted({name.partition(".")[0] for name in names() if "." in name})
NO_SETTINGS = {"store.id", "orders.db", "backfill.problem", "http.server"}  # files, a field, a module of Python's
NO_SETTING_IN_THE_ENVIRONMENT = {  # what the command line, the tests and Kubernetes' own variables are called
    "MILEPOST_CONFIG",
    "MILEPOST_URL",
    "MILEPOST_API_KEY",
    "MILEPOST_PORT",
    "MILEPOST_GOLDEN",
    "MILEPOST_FAILOVERS",
    "MILEPOST_FAULTS_SCANS",
}


@each_of_the_manual
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    """In the dotted form, in `--set` and in the environment."""
    text = "\n".join(code(page))
    dotted = set(re.findall(rf"(?<![\w./-])(?:{'|'.join(SECTIONS)})\.[a-z_]+(?![\w(/.])", text))
    dotted = {name for name in dotted - NO_SETTINGS if not name.endswith(".py")}
    environment = set(re.findall(r"\bMILEPOST_[A-Z_]+\b", text)) - NO_SETTING_IN_THE_ENVIRONMENT
    assert dotted - set(names()) == set()
    assert environment - {ENV + name.replace(".", "_").upper() for name in names()} == set()


def test_no_exception_is_kept_for_what_no_page_names() -> None:
    """Names that are no settings stand above only as long as a page has them."""
    text = "\n".join(line for page in MANUAL for line in code(page))
    assert [name for name in sorted(NO_SETTINGS | NO_SETTING_IN_THE_ENVIRONMENT) if name not in text] == []


@each_of_the_manual
def test_every_call_that_a_page_names_is_answered(page: Path) -> None:
    """`GET /v1/…` with its method, or a path alone; a name in braces stands for an id, as `sub_…` does."""
    routes = {f"{route.method} {plain(route.path)}" for route in TABLE}
    calls = re.findall(
        r"(?:\b(GET|POST|PUT|PATCH|DELETE) \"?)?(?:\$MILEPOST_URL)?(?<!\w)/v1(/[^\s?`\"',;)]+)", text_of(page)
    )
    lost = []
    for method, path in calls:
        call = f"{method} {plain(path.rstrip('.'))}"
        if not any(route.endswith(call) for route in routes):
            lost.append(call)
    assert lost == []


def plain(path: str) -> str:
    return re.sub(r"\{[^}]+\}|\b[a-z]+_…", "{}", path)


@each_of_the_manual
def test_every_place_in_the_repository_that_a_page_names_is_there(page: Path) -> None:
    """Files and folders in code, and the targets of `make`."""
    text = "\n".join(code(page))
    places = re.findall(r"(?<![\w./])(?:tests|tracker|carriers|webhooks|deploy|docs)/[\w./-]*(?![\w*<{])", text)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [place for place in places if "acme" not in place and not there(place)] == []
    assert [target for target in re.findall(r"\bmake ([a-z-]+)", text) if target not in targets] == []


def there(place: str) -> bool:
    return (ROOT / place).exists() or (ROOT / f"{place}.py").exists()


def test_the_operators_document_tells_the_stall_limits_that_are_built_in() -> None:
    """In hours, by stage, in the order of a journey."""
    told = text_of(ROOT / "docs" / "operations.md").partition("**Stall limits** built in")[2].partition("\n\n")[0]
    limits = [(stage, int(hours)) for stage, hours in re.findall(r"`(\w+)`\s(\d+)", told)]
    assert limits == [(stage.value, limit // HOUR) for stage, limit in DEFAULT.items()]


def test_the_api_s_document_says_when_each_status_of_a_refusal_comes() -> None:
    """What `/docs` lists as problems stands in the table of the page too, and nothing else does."""
    table = text_of(ROOT / "docs" / "api.md").partition("| status | when |")[2]
    told = {int(status) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for status in row.split(", ")}
    assert told == {kind.status for kind in CATALOGUE.values()}


@each_of_the_manual
def test_every_name_in_python_that_a_page_tells_is_one(page: Path) -> None:
    """`carriers.conformance.check`: a module, or what a module defines or hands on."""
    dotted = re.findall(r"(?<![\w./-])(?:tracker|carriers|webhooks|tests)(?:\.\w+)+", "\n".join(code(page)))
    assert [name for name in dotted if not defined(name)] == []


def defined(name: str) -> bool:
    path = name.replace(".", "/")
    if there(path):
        return True
    module, _, last = path.rpartition("/")
    for file in (ROOT / f"{module}.py", ROOT / module / "__init__.py"):
        if file.exists():
            return bool(re.search(rf"^(?:(?:async )?def |class |from .*\b){last}\b", text_of(file), re.MULTILINE))
    return False


@each_of_the_manual
def test_every_metric_and_alarm_that_a_page_names_is_in_the_operator_s_tables(page: Path) -> None:
    """Which are held against the code themselves."""
    tables = re.findall(r"^\| `(milepost_\w+|Milepost\w+)` \|", text_of(ROOT / "docs" / "operations.md"), re.MULTILINE)
    named = set(re.findall(r"\bmilepost_[a-z_]+|\bMilepost[A-Z]\w+", "\n".join(code(page)))) - {"milepost_parcels"}
    assert named - set(tables) == set()
