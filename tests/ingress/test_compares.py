"""No secret is compared with `==`: how long that takes tells how much of a guess was right."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"(?:^|_)(?:secret|token|digest|signature|signed|sign|hmac|password|checkword|hash|key_hash)$")
# compared with what is public: an algorithm's name, an ETag, a milestone
HARMLESS = {
    ("tracker/api/subscriptions.py", "subscription.signature"),
}


def compared(source: str) -> Iterator[ast.expr]:
    """Each side of each `==`, `!=` and `in` whose name says that it is a secret."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            for side in (node.left, *node.comparators):
                if SECRET.search(_name(side)):
                    yield side


def _name(side: ast.expr) -> str:
    match side:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return _name(func)
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name.replace("-", "_").lower()
        case _:
            return ""


def test_every_comparison_of_a_secret_takes_constant_time() -> None:
    found = {
        (str(path.relative_to(ROOT)), ast.unparse(side))
        for package in ("tracker", "carriers", "webhooks")
        for path in (ROOT / package).rglob("*.py")
        for side in compared(path.read_text(encoding="utf-8"))
    }
    assert found - HARMLESS == set()


def test_the_search_sees_what_it_is_for() -> None:
    assert len([*compared("given == expected_digest or push.headers['X-Signature'] != sign(body)")]) == 3
