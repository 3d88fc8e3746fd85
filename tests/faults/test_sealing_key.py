"""A daemon that is killed while it seals its secrets under a new key loses none, whichever were sealed by then."""

from __future__ import annotations

import pytest

from tests.faults.audit import examine, note
from tests.faults.daemon import Daemon, until
from tests.faults.load import Carrier, register, scans_of, settle_in, waybills
from tests.faults.pierced import STARTING
from tests.faults.receiver import Receiver
from tests.faults.side import SIGNING
from tracker.secrets import new_key

SEALED = 3  # a connection, a subscription, an order store

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


async def test_a_daemon_that_is_killed_at_each_record_that_it_seals_anew_loses_none(
    daemon: Daemon, receiver: Receiver
) -> None:
    """After each kill the two keys open all of it, then the new one alone; carrier and subscriber notice nothing."""
    old = new_key()
    await daemon.start(secrets__key=old)
    hook = await settle_in(daemon, receiver)
    shop = {"platform": "http", "base": f"{receiver.carrier}/orders", "credentials": {"signing_secret": SIGNING}}
    await daemon.call("POST", "/v1/order-stores", shop)
    numbers = await register(daemon, waybills(2))
    for point in STARTING:
        for passes in range(1, SEALED + 1):
            await daemon.end()
            daemon.program, new = ("tests.faults.pierced", "KILL", point, str(passes)), new_key()
            process = daemon.spawn(secrets__key=f"{new},{old}")
            await until(lambda: not daemon.running, within=60, what=f"the kill {point}")
            assert process.returncode == -9
            daemon.program = ("tracker.cli",)
            await daemon.start(secrets__key=f"{new},{old}")
            await daemon.end()
            await daemon.start(secrets__key=new)
            old = new
    carrier = Carrier(hook, scans_of(list(numbers)))
    ledger = await carrier.run()
    found = await examine(daemon, receiver, ledger, numbers)
    note("test_killed_while_the_sealing_key_is_changed", ledger, found)
    assert found.wrong == {}
    await until(lambda: len(receiver.books) > 0, within=60, what="what the order store is told")
