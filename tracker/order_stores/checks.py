"""What an order store may hold, each refusal by the name of its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tracker.connections.checks import check_credentials
from tracker.errors import BadInput
from tracker.order_stores.order_store import OrderStore
from tracker.order_stores.registry import Platforms, wrong_words
from tracker.order_stores.sdk import Platform


def check(store: OrderStore, platforms: Platforms, check_url: Callable[[str], None]) -> None:
    """Raise BadInput, naming the field, for what its platform can't work with."""
    platform = platforms.get(store.platform)
    if platform is None:
        known = ", ".join(one.slug for one in platforms)
        raise BadInput("platform", f"{store.platform[:40]!r} is not installed; there are {known}", code="unknown")
    _check_base(platform, store.base, check_url)
    check_credentials(platform, store.credentials)
    if platform.check:
        platform.check(store.credentials)
    _check_options(platform, store.options)
    for problem in wrong_words(platform, store.statuses):
        field, _, why = problem.partition(": ")
        raise BadInput(field, why)


def _check_base(platform: Platform, base: str, check_url: Callable[[str], None]) -> None:
    try:
        check_url(base)
        if "?" in base:
            raise BadInput("base", "has a query: paths are added to it")
    except BadInput as error:
        raise BadInput("base", f"{error.problem}; {platform.name} is at {platform.address}", code=error.code) from None


def _check_options(platform: Platform, options: Mapping[str, str]) -> None:
    known = {option.name: option.choices for option in platform.options}
    for name, choice in options.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise BadInput(f"options.{name[:64]}", f"{platform.slug} has no such option; it has {have}")
        if choice not in known[name]:
            raise BadInput(f"options.{name}", f"{choice[:64]!r} is not among {', '.join(known[name])}")
