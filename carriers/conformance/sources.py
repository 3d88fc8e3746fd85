"""What only an adapter's source shows: codes that say nothing without a word why, signatures compared with `==`."""

from __future__ import annotations

import ast
import functools
import hmac
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from carriers.sdk import Carrier, same_secret

# InvalidSignature: a public key's verification holds no secret whose comparison could leak by its time.
_IN_CONSTANT_TIME = frozenset({"compare_digest", "same_secret", "InvalidSignature"})


def silent_codes(carrier: Carrier) -> Iterator[str]:
    """Codes that mean None without a comment beside them, or above the run of such codes that they stand in."""
    silent = {code for code, meaning in carrier.milestones.items() if meaning is None}
    for path in _sources(carrier) if silent else ():
        text = path.read_text(encoding="utf-8")
        for line, code in _unexplained(text, silent):
            yield f"{path.name}:{line}: {code!r} means None: say in a comment beside it what it is that says nothing"


def _sources(carrier: Carrier) -> list[Path]:
    file = getattr(sys.modules.get(getattr(carrier.parse, "__module__", "")), "__file__", None)
    if file is None:
        return []
    return sorted(Path(file).parent.glob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]


def _unexplained(text: str, silent: set[str]) -> Iterator[tuple[int, str]]:
    explained = _commented(text)
    for line, code in sorted(_entries(ast.parse(text), silent)):
        if explained & {line, line - 1}:
            explained.add(line)  # and so is the code below it
        else:
            yield line, code


def _commented(text: str) -> set[int]:
    """The lines with a comment that speaks of a code: beside one of None, or alone on its line."""
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT]
    return {t.start[0] for t in tokens if t.line.lstrip().startswith("#") or "None" in t.line[: t.start[1]]}


def _entries(tree: ast.AST, silent: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                nothing = isinstance(value, ast.Constant) and value.value is None
                if nothing and isinstance(key, ast.Constant) and key.value in silent:
                    yield value.lineno, str(key.value)


def leaky_comparison(carrier: Carrier) -> Iterator[str]:
    """A `verify` that reaches no comparison in constant time."""
    if carrier.verify is not None and not _in_constant_time(carrier.verify, set()):
        yield "verify: compare with sdk.same_secret (hmac.compare_digest): `==` tells by its time how much was right"


def _in_constant_time(function: object, seen: set[int]) -> bool:
    """Whether it, or a function of its module or closure that it names, compares so."""
    if function is hmac.compare_digest or function is same_secret:
        return True
    if isinstance(function, functools.partial):
        bound = (function.func, *function.args, *function.keywords.values())
        return any(_in_constant_time(one, seen) for one in bound)
    if not isinstance(function, FunctionType) or id(function) in seen:
        return False
    seen.add(id(function))
    names = set(_names(function.__code__))
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__[name] for name in names if name in function.__globals__]
    return bool(names & _IN_CONSTANT_TIME) or any(_in_constant_time(one, seen) for one in (*held, *named))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
