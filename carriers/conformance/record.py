"""The record itself: its fields, its table of codes, and which fixtures it owes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from carriers.fixtures import Fixture
from carriers.sdk import Acknowledge, Answer, Carrier, Coarse, Greet, M, Push, Respond
from tracker.model import Milestone

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,30}")


def record(carrier: Carrier) -> Iterator[str]:
    """What is wrong with the fields beside the table."""
    if not _SLUG.fullmatch(carrier.slug):
        yield f"slug {carrier.slug!r}: use lower-case letters, digits and _, a letter first"
    if not carrier.docs.startswith("https://"):
        yield f"docs {carrier.docs!r}: give the https address of the carrier's own documentation"
    if carrier.batch < 1 or carrier.min_interval < 0 or carrier.rate <= 0:
        yield "batch, min_interval and rate: at least 1, 0 and more than 0"
    if carrier.carriers and not carrier.aggregator:
        yield "carriers is for aggregators: set aggregator=True or drop it"
    names = [credential.name for credential in carrier.credentials]
    if len(set(names)) < len(names):
        yield f"credentials {names}: name each once"
    yield from (
        f"numbers: {pattern!r} is no regular expression" for pattern in carrier.numbers if not _compiles(pattern)
    )
    if carrier.acknowledge and carrier.respond:
        yield "acknowledge and respond: one of them answers a push"
    if carrier.acknowledge:
        yield from _answers("acknowledge", carrier.acknowledge)
    if carrier.respond:
        yield from _answers("respond", partial(_responded, carrier.respond))
    if carrier.greet:
        yield from _greets(carrier.greet)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _answers(name: str, answer: Acknowledge) -> Iterator[str]:
    accepted, refused = answer(True), answer(False)
    if not 200 <= accepted[0] < 300:
        yield f"{name}(True) answers {accepted[0]}: an accepted push is answered 2xx"
    if accepted == refused:
        yield f"{name} answers the same for both: a refused push must make the carrier send it again"


def _responded(respond: Respond, accepted: bool) -> Answer:
    """The answer to a body that says nothing: it must not depend on what the body holds that there is one."""
    return respond(Push(headers={}, query={}, body=b""), accepted, 0)


def _greets(greet: Greet) -> Iterator[str]:
    answer = greet(Push(headers={}, query={}, body=b""), {})
    if answer is not None and not 200 <= answer[0] < 300:
        yield f"greet answers {answer[0]} to a GET that asks nothing: answer it 2xx, or None where it is not genuine"


def table(carrier: Carrier) -> Iterator[str]:
    """What is wrong with the table of codes."""
    reached = {_milestone(meaning) for meaning in carrier.milestones.values()}
    if M.DELIVERED not in reached:
        yield "milestones: no code reaches `delivered`; map the code for a delivered parcel"
    if M.UNKNOWN in reached:
        yield "milestones: a code means `unknown`; drop it from the table, or use None if it is known to say nothing"
    for code in carrier.milestones:
        if not code or code != code.strip() or code.startswith("/") or code.endswith("/"):
            yield f"milestones: {code!r} is no code; write codes as the carrier does, paths as A/B"


def _milestone(meaning: object) -> Milestone | None:
    if isinstance(meaning, Coarse):
        return meaning.milestone
    if isinstance(meaning, tuple):
        return Milestone(meaning[0])
    return Milestone(meaning) if isinstance(meaning, Milestone) else None


def coverage(carrier: Carrier, bodies: Sequence[Fixture], folder: Path) -> Iterator[str]:
    """Which fixtures are missing for what the carrier can do."""
    kinds = {fixture.kind for fixture in bodies}
    if carrier.fetch and "query" not in kinds:
        yield f"fixtures: add {folder.name}/query-*: an answer to a query, shaped as the carrier documents it"
    if carrier.fetch and "error" not in kinds:
        yield f"fixtures: add {folder.name}/error-*: what the carrier answers for a number that it does not know"
    if (carrier.verify or carrier.acknowledge or carrier.respond) and "push" not in kinds:
        yield f"fixtures: add {folder.name}/push-*: a body as the carrier pushes it"
