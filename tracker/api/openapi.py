"""The OpenAPI 3.1 document, made of the route table: the handlers' signatures and words are its only source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from tracker import __version__
from tracker.api.checking import Json, needs_nothing
from tracker.api.messages import HEADERS, MESSAGES, webhooks
from tracker.api.problems import (
    BAD_JSON,
    CATALOGUE,
    INVALID,
    NOT_FOUND,
    NOT_JSON_TYPE,
    RATE_LIMITED,
    SCOPE,
    STORE_DOWN,
    TOO_LARGE,
    TOO_SLOW,
    UNKNOWN_KEY,
    ProblemType,
)
from tracker.api.route import EVENT_STREAM, Route

Spec = dict[str, Any]

_REF = "#/components/schemas/{model}"
_ABOUT = (
    "Where every parcel is. Send `Authorization: Bearer mp_…` with each request. Times of ours are ISO 8601 in UTC; a "
    "carrier's times keep the offset that it gave, or have none where nobody knows it. Every refusal is "
    "`application/problem+json` (RFC 9457), and `errors` names the fields."
)
_PROBLEM: Spec = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "problem", "code"],
                "properties": {
                    "field": {"type": "string"},
                    "problem": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}


def openapi(routes: Iterable[Route], *, prefix: str = "/v1") -> Spec:
    """The document for these routes, mounted under `prefix`."""
    table = list(routes)
    schemas, components = _schemas(table)
    paths: Spec = {}
    for route in table:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, schemas, components)
    for route in table:
        if route.query is not None:
            components.pop(route.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Milepost", "version": __version__, "description": _ABOUT},
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in table)],
        "paths": paths,
        "webhooks": webhooks({name: schemas["message", name] for name in MESSAGES}),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "mp_…"}},
            "schemas": dict(sorted(components.items())) | {"Problem": _PROBLEM},
            "parameters": dict(HEADERS),
            "responses": {kind.code: _problem_response(kind) for kind in CATALOGUE.values()},
        },
    }


def _schemas(table: list[Route]) -> tuple[dict[tuple[str, str], Spec], Spec]:
    """The schema of each route's query, body and answer and of each message, and the components that they refer to."""
    inputs = [
        ((route.name, part), "validation", TypeAdapter(kind))
        for route in table
        for part, kind in (("query", route.query), ("body", route.body_about), ("answer", route.answer))
        if kind not in (None, type(None), Json)
    ]
    inputs += [(("message", name), "validation", TypeAdapter(kind)) for name, kind in MESSAGES.items()]
    found, defined = TypeAdapter.json_schemas(inputs, ref_template=_REF)  # type: ignore[arg-type]
    schemas: dict[tuple[str, str], Spec] = {key: schema for (key, _), schema in found.items()}
    return schemas, dict(defined.get("$defs", {}))


def _operation(route: Route, schemas: Mapping[tuple[str, str], Spec], components: Mapping[str, Spec]) -> Spec:
    summary, _, more = route.about.partition("\n\n")
    operation: Spec = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": " ".join(summary.split()),
        "description": more,
        "security": [{"key": [route.scope.value]}],
        "responses": _responses(route, schemas.get((route.name, "answer"))),
    }
    if route.stream:
        about = " ".join((route.stream.__doc__ or "").split())
        good = operation["responses"][str(route.status)]
        good["content"][EVENT_STREAM] = {"schema": {"type": "string", "description": about}}
    parameters = _path_parameters(route) + _query_parameters(schemas.get((route.name, "query")), components)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = schemas.get((route.name, "body"), {})
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": not needs_nothing(route.body), "content": content}
    return operation


def _path_parameters(route: Route) -> list[Spec]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.parameters]


def _query_parameters(schema: Spec | None, components: Mapping[str, Spec]) -> list[Spec]:
    if schema is None:
        return []
    model = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    required = model.get("required", ())
    return [_query_parameter(name, dict(about), name in required) for name, about in model["properties"].items()]


def _query_parameter(name: str, schema: Spec, required: bool) -> Spec:
    schema.pop("title", None)
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    if schema.get("default", ...) is None:
        del schema["default"]
    about = schema.pop("description", None) or next((c.pop("description") for c in choices if "description" in c), None)
    parameter: Spec = {"name": name, "in": "query", "required": required, "schema": _joined(schema, choices)}
    return parameter | ({"description": about} if about else {})


def _joined(schema: Spec, choices: list[Spec]) -> Spec:
    if len(choices) == 1:
        return schema | choices[0]
    return schema | ({"anyOf": choices} if choices else {})


def _responses(route: Route, schema: Spec | None) -> Spec:
    good = {route.status: "Done."} | route.other
    responses: Spec = {str(status): _good(about, schema) for status, about in sorted(good.items())}
    for kind in _refusals(route):
        responses.setdefault(str(kind.status), {"$ref": f"#/components/responses/{kind.code}"})
    return dict(sorted(responses.items()))


def _good(about: str, schema: Spec | None) -> Spec:
    return {"description": about} | ({"content": {"application/json": {"schema": schema}}} if schema else {})


def _refusals(route: Route) -> list[ProblemType]:
    kinds = [*route.problems, UNKNOWN_KEY, SCOPE, INVALID, RATE_LIMITED, STORE_DOWN]
    if route.parameters:
        kinds.append(NOT_FOUND)
    if route.body is not None:
        kinds += [BAD_JSON, TOO_SLOW, TOO_LARGE, NOT_JSON_TYPE]
    return kinds


def _problem_response(kind: ProblemType) -> Spec:
    return {
        "description": f"{kind.title}. {kind.meaning}",
        "x-code": kind.code,
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
