"""How much an adapter takes, counted: code, tables and test of each, for `docs/adapters.md`.

`python -m carriers.lines` prints the document; `python -m carriers.lines --write` writes it.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from statistics import median_low

from msgspec import Struct

from carriers.registry import load

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "adapters.md"
TESTS = ROOT / "tests"
INTRODUCTION = """\
# Adapters in lines

What a carrier takes. Written by `python -m carriers.lines --write`, and held to the code by a test.

Counted from the syntax tree, over every module in the adapter's folder. A **table** is the assignment of a dict,
tuple or frozenset literal at the top of a module: codes, carriers, errors. All other lines are **code**, except
imports, docstrings, comments and blank lines, which nobody counts. **test** is the adapter's own test file, its code
and tables together. Fixtures, goldens, the README and `quality.toml` are data and prose, and are not counted."""
PEERS = """\
## Beside others

| | one adapter | its test |
|---|---|---|
| Milepost, median | {code} lines, and a table of {table} | {test} lines |
| social-core, median backend | 53 lines | 59 lines |
| django-anymail | 1 file | – |
| Karrio, a carrier for tracking only | 20 files and more | – |

A backend of social-core speaks a protocol that is the same for all of them. An adapter here asks and listens, tells
five kinds of error apart, and reads times, places and codes that no two carriers write alike. A median is a line of
the table: of an even number of adapters, the lower of the two in the middle."""
_IGNORED = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
)


class Lines(Struct, frozen=True):
    """Lines of code and of tables."""

    code: int = 0
    table: int = 0

    def __add__(self, other: Lines) -> Lines:
        return Lines(self.code + other.code, self.table + other.table)


class Row(Struct, frozen=True):
    """One adapter."""

    slug: str
    adapter: Lines
    test: int


# ---------------------------------------------------------------- counting


def count(source: str) -> Lines:
    """The lines of one module, by what they are."""
    tree = ast.parse(source)
    written = _written(source) - _covered(_unread(tree))
    tables = _covered(_tables(tree)) & written
    return Lines(len(written) - len(tables), len(tables))


def _written(source: str) -> set[int]:
    """The numbers of the lines that hold more than blanks and comments."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    spans = (range(token.start[0], token.end[0] + 1) for token in tokens if token.type not in _IGNORED)
    return {line for span in spans for line in span}


def _covered(nodes: Iterable[ast.stmt]) -> set[int]:
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def _unread(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports and docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (first for first in node.body[:1] if _is_docstring(first))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _tables(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_table(node.value):
            yield node


def _is_table(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id == "frozenset"
    return isinstance(value, ast.Dict | ast.Tuple)


# ---------------------------------------------------------------- the document


def rows() -> list[Row]:
    """Each adapter of this repository, by its slug."""
    registry, _ = load()
    folders = ((carrier.slug, Path(__file__).parent / carrier.slug) for carrier in registry)
    return [Row(slug, _counted(folder.rglob("*.py")), _test(slug)) for slug, folder in folders if folder.is_dir()]


def _counted(files: Iterable[Path]) -> Lines:
    return sum((count(file.read_text(encoding="utf-8")) for file in files), Lines())


def _test(slug: str) -> int:
    """The lines of the adapter's own tests: `test_gls.py`, `test_conformance_sf.py`, `test_simulated_adapter.py`."""
    names = (slug, f"conformance_{slug}", f"{slug}_adapter")
    lines = _counted(file for name in names for file in TESTS.glob(f"*/test_{name}.py"))
    return lines.code + lines.table


def document(found: Sequence[Row]) -> str:
    """The whole document: a line for each adapter, the medians, and the others beside them."""
    code, table = median_low(row.adapter.code for row in found), median_low(row.adapter.table for row in found)
    test = median_low(row.test for row in found)
    lines = (f"| [`{r.slug}`](../carriers/{r.slug}) | {r.adapter.code} | {r.adapter.table} | {r.test} |" for r in found)
    head = ("| adapter | code | table | test |", "|---|---|---|---|")
    return "\n".join(
        (
            INTRODUCTION,
            "",
            *head,
            *lines,
            f"| **median** | **{code}** | **{table}** | **{test}** |",
            "",
            PEERS.format(code=code, table=table, test=test),
            "",
        )
    )


def main(arguments: Sequence[str]) -> int:
    """Print the document, or write it."""
    made = document(rows())
    if "--write" in arguments:
        DOCUMENT.write_text(made, encoding="utf-8")
    else:
        print(made, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
