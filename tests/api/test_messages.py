"""What the interface's document says of messages is what is sent, and what docs/webhooks.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from tracker.api import TABLE
from tracker.api.messages import ABOUT, MESSAGES
from tracker.api.openapi import openapi
from tracker.examples import example
from tracker.model import ChangeKind
from webhooks.notices import disabled_notice, trial_notice
from webhooks.payload import thin
from webhooks.subscription import DISABLED, TEST, TYPES, Subscription

SPEC = openapi(TABLE)
ENDPOINT = Subscription(id="sub_1", account="default", url="https://shop.example/")


def unknown(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The fields of a message that its schema doesn't name."""
    schema = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        yield from unknown(value, choices[0], path)
    elif isinstance(value, dict):
        known = schema["properties"]
        for name, inner in value.items():
            if name in known:
                yield from unknown(inner, known[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(value, list):
        for inner in value:
            yield from unknown(inner, schema["items"], f"{path}[]")


def conforms(body: bytes, message: str) -> None:
    kind = MESSAGES[message]
    told = msgspec.json.decode(body)
    TypeAdapter(kind).validate_python(told)
    assert list(unknown(told, {"$ref": f"#/components/schemas/{kind.__name__}"})) == []


@pytest.mark.parametrize("kind", ChangeKind)
def test_an_example_of_each_change_is_what_its_type_says_whole_and_thin(kind: ChangeKind) -> None:
    conforms(example(kind), "full")
    conforms(thin(example(kind)), "thin")
    content = SPEC["webhooks"][f"shipment.{kind.value}"]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"] == msgspec.json.decode(example(kind))


def test_notices_are_what_their_types_say() -> None:
    conforms(disabled_notice(ENDPOINT, why="answered 500", since=1, now=2), DISABLED)
    tried = msgspec.json.decode(trial_notice(ENDPOINT)) | {"test": True}
    conforms(msgspec.json.encode(tried), TEST)


def test_there_is_one_for_each_type_that_is_sent() -> None:
    assert set(SPEC["webhooks"]) == {TEST, *TYPES}


@pytest.mark.parametrize("kind", ChangeKind)
def test_the_document_begins_with_the_same_words(kind: ChangeKind) -> None:
    text = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    section = text.partition(f"### `shipment.{kind.value}`\n\n")[2]
    assert re.sub(r"\s+", " ", section).startswith(ABOUT[kind])
