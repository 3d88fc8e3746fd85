"""Whatever is asked of an operation, as its description allows or not, the answer is one that the description has.

Schemathesis makes the requests of the OpenAPI document and holds each answer against it: no 5xx, a status, a type and
headers that are described, a body of its schema. Half of what it makes is given real ids, so that good answers come.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi import checks

from tests.api.everything import BODIES, SPEC, places
from tracker.api import TABLE
from tracker.api.route import Route
from tracker.store import EmbeddedServer

from .served import Served, serving

EXAMPLES = 6  # for each operation and each kind of data
EXAMPLES_AT_LENGTH = 150
CHAINS = 300  # of ten requests each
LONGEST_URL = 8_000  # what is longer never reaches a handler

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

AnyCase = Case[Any]
AnyOperation = APIOperation[Any, Any, Any, Any]


def _unlocked(spec: dict[str, Any]) -> dict[str, Any]:
    """The document without its security: a key that is wrong on purpose would hide what else is."""
    paths = {
        path: {method: operation | {"security": []} for method, operation in item.items()}
        for path, item in spec["paths"].items()
    }
    return spec | {"paths": paths, "security": []}


OF_CHAINS = [checks.use_after_free, checks.ensure_resource_availability]
ROUTES = {f"{route.method} /v1{route.path}": route for route in TABLE}


def _streams(operation: AnyOperation) -> bool:
    """Whether its good answer is a stream, which has no end to wait for."""
    said = SPEC["paths"][operation.path][operation.method.lower()]["responses"]
    return any(
        "text/event-stream" in answer.get("content", {}) for status, answer in said.items() if status.startswith("2")
    )


SCHEMA = schemathesis.openapi.from_dict(_unlocked(SPEC))


def _operations() -> Iterator[AnyOperation]:
    for found in SCHEMA.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        yield found.ok()


OPERATIONS = {one.label: one for one in _operations() if not _streams(one)}
ASKED = [(label, GenerationMode.POSITIVE) for label in OPERATIONS] + [
    (label, GenerationMode.NEGATIVE) for label in OPERATIONS if ROUTES[label].query or ROUTES[label].body is not None
]
# What stands for fields whose schema can't say all that is asked of them.
FITTING: dict[str, Any] = {
    "carrier": "acme",
    "connection": "",
    "credentials": {"app_key": "k"},
    "options": {},
    "statuses": {},
    "types": ["shipment.delivered"],
    "headers": {"X-Shop": "lanhai"},
    "base": "https://shop.example/orders",
    "url": "https://receiver.example/hook",
    "cursor": None,
    "destination": None,
    "placed_at": "2026-11-20T10:00:00+08:00",
    "paid_at": None,
    "cancelled_at": None,
    "placed_from": "2026-11-20T10:00:00+08:00",
    "placed_to": "2026-11-27T10:00:00Z",
    "total": "12.50",
    "lines": [{"name": "tea", "price": "12.50"}],
    "waybills": ["AC000001"],
    "waybill": "AC000001",
    "account": "",
    "wait": 0,
    "shipments": [{"waybill": "AC000003", "carrier": "acme"}, {"waybill": "?"}],
}
FITTING_IN: dict[str, dict[str, Any]] = {
    "amend_subscription": {"statuses": ["delivered"]},
    "create_subscription": {"statuses": ["delivered"]},
    "create_connection": {"base": "https://carrier.example"},
    "amend_connection": {"base": "https://carrier.example", "credentials": BODIES["create_connection"]["credentials"]},
    "create_order_store": {"credentials": BODIES["create_order_store"]["credentials"]},
    "amend_order_store": {"credentials": BODIES["create_order_store"]["credentials"]},
    "list_changes": {"shipments": True, "after": "now"},
}


@pytest.fixture(scope="module")
def served(store_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(store_server, tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize(
    ("label", "mode"), ASKED, ids=lambda one: one.name.lower() if isinstance(one, GenerationMode) else one
)
def test_every_answer_is_one_that_is_described(served: Served, label: str, mode: GenerationMode) -> None:
    _try(served, label, mode, EXAMPLES)


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("label", "mode"), ASKED, ids=lambda one: one.name.lower() if isinstance(one, GenerationMode) else one
)
def test_every_answer_is_one_that_is_described_at_length(served: Served, label: str, mode: GenerationMode) -> None:
    _try(served, label, mode, EXAMPLES_AT_LENGTH)


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
def test_what_an_answer_names_is_there_for_the_next_request_and_what_is_deleted_is_not(served: Served) -> None:
    """Chains of requests, each with what earlier answers named: made, read, changed, deleted, read again."""

    class Chain(SCHEMA.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            _, self.key = served.one_of_everything()  # each chain in an account of its own

        def get_call_kwargs(self, case: AnyCase) -> dict[str, Any]:
            return {"base_url": served.url, "headers": {"Authorization": f"Bearer {self.key}"}}

        def validate_response(self, response: Response, case: AnyCase, *_: Any, **__: Any) -> None:
            case.validate_response(response, checks=[*CHECKS, *OF_CHAINS], recorder=self.recorder)

    Chain.run(
        settings=settings(
            max_examples=CHAINS,
            stateful_step_count=10,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
    )


def _try(served: Served, label: str, mode: GenerationMode, examples: int) -> None:
    operation, route, statuses = OPERATIONS[label], ROUTES[label], Counter[int]()
    operator = route.tag == "accounts and keys"
    ids, key = served.one_of_everything(operator=operator)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from([True, True, True, False]))
    def one(case: AnyCase, real: bool) -> None:
        nonlocal ids, key
        if real:
            if route.method == "DELETE":
                ids, key = served.one_of_everything(operator=operator)
            give_real(case, route, ids, whole=mode is GenerationMode.POSITIVE)
        response = case.call(base_url=served.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        statuses[response.status_code] += 1
        if len(response.request.url or "") < LONGEST_URL:
            case.validate_response(
                response, checks=CHECKS + [checks.negative_data_rejection] * refuses(route, response)
            )

    one()
    if mode is GenerationMode.POSITIVE:
        assert min(statuses) < 300, f"nothing good came of {dict(statuses)}: say in FITTING what fits its fields"


def refuses(route: Route, response: Response) -> bool:
    """Whether what is wrong must be refused; a batch is answered item by item, and 413 is no word of the check's."""
    return route.name != "register_shipments" and response.status_code != 413


def give_real(case: AnyCase, route: Route, ids: dict[str, str], *, whole: bool) -> None:
    """Put what there is into the request's path, and, where the `whole` is to be good, into its query and body."""
    for place in places(route):
        if place.within == "path":
            case.path_parameters[place.field] = ids[place.what] if place.what else "acme"
    fitting = FITTING | FITTING_IN.get(route.name, {})
    if whole:
        for name in case.query.keys() & fitting.keys():
            case.query[name] = fitting[name]
            if fitting[name] is None:
                del case.query[name]
    if whole and isinstance(case.body, dict):
        told = {name: fitting.get(name, value) for name, value in case.body.items()}
        case.body = {"shipments": told["shipments"]} if "shipments" in told else told | _good(route, ids)


def _good(route: Route, ids: dict[str, str]) -> dict[str, Any]:
    """A good body, what it names among what there is."""
    listed = {"connections": [ids["connection"]], "ids": [ids["dead letter"]]}
    body: dict[str, Any] = copy.deepcopy(BODIES[route.name])
    return body | {name: some for name, some in listed.items() if name in body}
