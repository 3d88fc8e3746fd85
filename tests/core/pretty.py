"""JSON that people read."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 116


def pretty(value: Any, indent: int = 0, head: int = 0) -> str:
    """JSON in which whatever fits on a line stands on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or (indent and indent + head + len(flat) < WIDTH):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, list):
        rows = [pad + pretty(one, indent + 2) for one in value]
        return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"
    rows = [f"{pad}{json.dumps(key)}: {pretty(one, indent + 2, len(key) + 4)}" for key, one in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
