"""The OpenAPI document says what the handlers do, holds together, and its page loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tracker.api import TABLE
from tracker.api.openapi import openapi
from tracker.api.problems import NOT_FOUND
from tracker.api.route import Route

from .world import Api

SPEC = openapi(TABLE)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = SPEC["paths"][f"/v1{route.path}"][route.method.lower()]
    return found


def test_every_reference_leads_somewhere() -> None:
    for node in _walk(SPEC):
        reference = node.get("$ref")
        if not isinstance(reference, str):
            continue
        target: Any = SPEC
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_every_type_is_used() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in _walk(SPEC) if isinstance(node.get("$ref"), str)}
    assert set(SPEC["components"]["schemas"]) <= used


def test_operations_have_names_of_their_own() -> None:
    names = [_operation(route)["operationId"] for route in TABLE]
    assert len(set(names)) == len(names) == sum(len(item) for item in SPEC["paths"].values())


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.name)
def test_an_operation_is_described_whole(route: Route) -> None:
    operation = _operation(route)
    assert operation["summary"]
    assert operation["security"] == [{"key": [route.scope.value]}]
    named = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"]
    assert tuple(named) == route.parameters
    good = [status for status in operation["responses"] if status < "300"]
    assert good
    assert {"401", "403", "422", "503"} <= set(operation["responses"])
    assert ("404" in operation["responses"]) is (bool(route.parameters) or NOT_FOUND in route.problems)
    assert ("requestBody" in operation) is (route.body is not None)
    for status in good:
        assert ("content" in operation["responses"][status]) is (status != "204")
    for node in operation.get("requestBody", {}).get("content", {}).values():
        assert node["schema"]


def test_parameters_have_types() -> None:
    for route in TABLE:
        for parameter in _operation(route).get("parameters", ()):
            assert {"type", "$ref", "anyOf"} & parameter["schema"].keys(), (route.name, parameter)


async def test_the_document_and_its_page_need_no_key(api: Api) -> None:
    response = await api.client.get("/openapi.json")
    assert (await response.json())["openapi"] == "3.1.0"
    page = await api.client.get("/docs")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.css", "/docs/docs.js"])
async def test_the_page_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    response = await api.client.get(path)
    assert response.status == 200
    text = await response.text()
    assert not re.findall(r"https?://|//[a-z]+\.", text)
    for reference in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert reference.startswith(("/", "data:,"))
        if reference.startswith("/"):
            assert (await api.client.get(reference)).status == 200


async def test_problems_link_to_their_place_on_the_page(api: Api) -> None:
    answer = await api.raw("GET", "/whoami")
    code = answer.body["type"].removeprefix("/docs#problem-")
    assert SPEC["components"]["responses"][code]["x-code"] == code
