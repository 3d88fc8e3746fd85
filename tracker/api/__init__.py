"""The REST API under /v1, with its own documentation."""

from __future__ import annotations

from tracker.api.app import PREFIX, TABLE, api_app, mount
from tracker.api.problems import problems
from tracker.api.services import ApiSettings, Services

__all__ = ["PREFIX", "TABLE", "ApiSettings", "Services", "api_app", "mount", "problems"]
