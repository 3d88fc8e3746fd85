"""What a query costs at Shopify, and the bucket that it is paid from.

https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits : scalars and enums cost nothing, an object 1, a
connection as much as `first` asks for, a mutation 10; no query more than 1,000. The bucket must hold what is asked for,
and gets back what was not there. That a list with `first` is counted like a connection, and one within another
multiplied, is assumed, and so is the size of the bucket.
"""

from __future__ import annotations

import time
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode, OperationType, SelectionSetNode
from graphql.language import IntValueNode

LONGEST = 1_000
MUTATION = 10


def requested(document: DocumentNode) -> int:
    """What a query may cost at most, before anything is looked at."""
    operation = _operation(document)
    if operation.operation is OperationType.MUTATION:
        return MUTATION * len(operation.selection_set.selections)
    return _asked(operation.selection_set)


def actual(document: DocumentNode, data: Any) -> int:
    """What was there: each object of the answer."""
    operation = _operation(document)
    if operation.operation is OperationType.MUTATION:
        return MUTATION * len(operation.selection_set.selections)
    return _objects(data) - 1  # the root is none


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def _asked(selected: SelectionSetNode) -> int:
    return sum(_field(field) for field in selected.selections if isinstance(field, FieldNode))


def _field(field: FieldNode) -> int:
    if field.selection_set is None:
        return 0
    within = _asked(field.selection_set)
    if field.name.value == "nodes":
        return within
    first = [one.value for one in field.arguments or () if one.name.value == "first"]
    number = int(first[0].value) if first and isinstance(first[0], IntValueNode) else 1
    return number * (1 + within)


def _objects(value: Any) -> int:
    if isinstance(value, list):
        return sum(_objects(one) for one in value)
    if not isinstance(value, dict):
        return 0
    if "nodes" in value:  # a connection is what it holds
        return _objects(value["nodes"])
    return 1 + sum(_objects(one) for one in value.values())


class Bucket:
    """Leaks `restore` points a second; of the standard plan unless said otherwise."""

    def __init__(self, size: float = 2_000.0, restore: float = 100.0) -> None:
        self.size, self.restore = size, restore
        self._held, self._at = size, time.monotonic()
        self.spent: list[int] = []  # by each query that was answered

    @property
    def available(self) -> float:
        now = time.monotonic()
        self._held = min(self.size, self._held + (now - self._at) * self.restore)
        self._at = now
        return self._held

    def take(self, cost: int) -> bool:
        """Whether it holds so much; then it does no longer."""
        if self.available < cost:
            return False
        self._held -= cost
        return True

    def settle(self, asked: int, was: int) -> None:
        """Give back what was not there."""
        self._held += asked - was
        self.spent.append(was)

    def state(self, asked: int, was: int | None) -> dict[str, Any]:
        """The `extensions` of an answer."""
        status = {"maximumAvailable": self.size, "currentlyAvailable": self.available, "restoreRate": self.restore}
        return {"cost": {"requestedQueryCost": asked, "actualQueryCost": was, "throttleStatus": status}}
