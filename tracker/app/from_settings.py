"""What the settings make of walls, doors and limits."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from tracker import __version__
from tracker.config.settings import Settings, networks
from tracker.ingress.addresses import Addresses
from tracker.ingress.bounds import Bounds
from tracker.ingress.connections import Deadlines, Doors
from tracker.ingress.rates import Rates
from tracker.masking import Mask
from tracker.metrics import Metrics
from tracker.order_stores import BackfillSettings
from tracker.stall import StallPolicy, policy_of
from webhooks.guard import PORTS, Guard, guarded_session, trusting

_KEYS_OF_ACCOUNT = 4  # so many keys' worth of requests all keys of an account have together


def guard(settings: Settings) -> Guard:
    """Where requests may go."""
    egress = settings.egress
    return Guard(networks(egress.allow), {*PORTS, *egress.ports}, deny=networks(egress.deny))


def session(settings: Settings) -> aiohttp.ClientSession:
    """A client for carriers and platforms that goes nowhere else."""
    ours = {"User-Agent": f"Milepost/{__version__}"}
    return guarded_session(guard=guard(settings), tls=trusting(settings.egress.ca_file), headers=ours)


def addresses(settings: Settings) -> Addresses:
    """Whom a request comes from, proxies that are trusted aside."""
    return Addresses(networks(settings.http.trusted_proxies), settings.http.forwarded)


def doors(settings: Settings, metrics: Metrics) -> Doors:
    """How long and how many connections may stand."""
    http = settings.http
    deadlines = Deadlines(header_s=http.header_s, idle_s=http.idle_s, write_s=http.write_s)
    return Doors(deadlines, addresses(settings), metrics, most=http.max_connections, most_of_one=http.max_per_address)


def bounds(settings: Settings) -> Bounds:
    """How much may be asked, by whom."""
    limits = settings.limits
    return Bounds(
        addresses=addresses(settings),
        keys=Rates(limits.key_rate, limits.window_s, policy="key"),
        accounts=Rates(limits.key_rate * _KEYS_OF_ACCOUNT, limits.window_s, policy="account"),
        pushes=Rates(limits.push_rate, limits.window_s, policy="connection"),
        strangers=Rates(limits.stranger_rate, limits.window_s, policy="address"),
        buyers=Rates(limits.stranger_rate, limits.window_s, policy="address"),
    )


def backfill(settings: Settings) -> BackfillSettings:
    """How order stores are asked what their platforms did not push."""
    said = settings.backfill
    return BackfillSettings(every_s=said.every_min * 60, first_s=said.first_days * 86_400)


def masks(settings: Settings) -> Callable[[str], Mask]:
    """What is masked of what an account's carriers say."""
    usual, own = Mask(settings.privacy.mask), {name: Mask(how) for name, how in settings.privacy.accounts.items()}
    return lambda account: own.get(account, usual)


def policy(settings: Settings) -> StallPolicy:
    """How long what stage may last."""
    stall = settings.stall
    return policy_of(
        hours=stall.hours,
        carriers=stall.carriers,
        accounts=stall.accounts,
        factor=stall.factor,
        expire_days=stall.expire_days,
    )
