"""Letters go into lanes past the feed: once, in order, and with a body that goes when its last lane has settled."""

from __future__ import annotations

import pytest

from tracker.store import Store
from tracker.store.types import Delivery, Gone, Letter, Outcome, Relayed, Settlement

from .goods import creation, fan_out_all, next_write, register
from .test_lanes import bodies_left, claim, done

LATER = 4_000_000_000_000  # ms


def letter(id: str, revision: int = 1, body: bytes = b"", position: str = "0-0") -> Letter:
    return Letter(id=id, revision=revision, kind="registered", body=body, position=position)


async def settled(store: Store, claimed: list[Delivery]) -> list[Delivery]:
    await store.settle_lanes([done(one) for one in claimed])
    return claimed


async def test_a_change_goes_again_with_its_own_body_while_another_lane_needs_it(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1", "sub_2")
    first = await store.claim_lanes("c1", free={"sub_2": 0}, default_free=9, limit=9, lease_ms=60_000)
    await settled(store, first)
    assert await store.relay("acme", "sub_1", [letter(id, body=b"another")]) == [Relayed.KEPT]
    again = await settled(store, await claim(store, "c2"))
    assert {(one.destination, one.body, one.attempt) for one in again} == {
        ("sub_1", b"W1 was registered", 1),
        ("sub_2", b"W1 was registered", 1),
    }
    assert await bodies_left(store) == 0


async def test_a_change_whose_body_is_gone_needs_a_new_one(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    await settled(store, await claim(store, "c1"))
    assert await store.relay("acme", "sub_1", [letter(id)]) == [Relayed.LOST]
    assert await store.relay("acme", "sub_1", [letter(id, body=b"anew")]) == [Relayed.PUT]
    [again] = await settled(store, await claim(store, "c2"))
    assert (again.id, again.revision, again.kind, again.body) == (id, 1, "registered", b"anew")
    assert await bodies_left(store) == 0


async def test_letters_of_many_shipments_are_answered_in_their_order(store: Store) -> None:
    ids = [await register(store, "acme", f"W{n}") for n in range(30)]
    await fan_out_all(store, "sub_1")
    await settled(store, await claim(store, "c1"))
    letters = [letter(id, body=b"anew" if place % 3 else b"") for place, id in enumerate(ids)]
    became = await store.relay("acme", "sub_1", letters)
    assert became == [Relayed.PUT if place % 3 else Relayed.LOST for place in range(30)]
    assert len(await settled(store, await claim(store, "c2"))) == 20
    assert await bodies_left(store) == 0


async def test_what_waits_already_is_not_doubled_and_its_retry_is_due_at_once(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    (failed,) = await claim(store, "c1")
    assert await store.relay("acme", "sub_1", [letter(id)]) == [Relayed.WAITS], "it is out for delivery"
    await store.settle_lanes([Settlement(delivery=failed, outcome=Outcome.RETRY, retry_at=LATER)])
    assert await claim(store, "c2") == []
    assert await store.relay("acme", "sub_1", [letter(id)]) == [Relayed.WAITS]
    (again,) = await claim(store, "c3")
    assert (again.revision, again.attempt) == (1, 2)
    await settled(store, [again])
    assert await bodies_left(store) == 0


async def test_a_change_that_fan_out_has_yet_to_see_is_left_to_it(store: Store) -> None:
    id = await register(store, "acme", "W1")
    _, (entry,) = await store.unfanned(store.shard_of_id(id))
    assert await store.relay("acme", "sub_1", [letter(id, position=entry.position)]) == [Relayed.WAITS]
    assert await claim(store, "c1") == []
    await fan_out_all(store, "sub_1")
    assert len(await settled(store, await claim(store, "c2"))) == 1
    assert await bodies_left(store) == 0


async def test_an_older_change_goes_before_those_that_wait_and_counts_its_own_attempts(store: Store) -> None:
    write = creation(store, "acme", "W1")
    committed = await store.commit(write)
    await fan_out_all(store, "sub_1")
    await settled(store, await claim(store, "c1"))
    await store.commit(next_write(write, committed))
    await fan_out_all(store, "sub_1")
    (second,) = await claim(store, "c2")
    await store.settle_lanes([Settlement(delivery=second, outcome=Outcome.RETRY, retry_at=LATER)])
    assert await store.relay("acme", "sub_1", [letter(write.id, body=b"anew")]) == [Relayed.PUT]
    (first,) = await settled(store, await claim(store, "c3"))
    assert (first.revision, first.attempt) == (1, 1)
    (second,) = await settled(store, await claim(store, "c4"))
    assert second.revision == 2
    assert await bodies_left(store) == 0


async def test_nothing_goes_to_a_destination_or_an_account_that_was_deleted(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await store.drop_destination("acme", "sub_1")
    with pytest.raises(Gone):
        await store.relay("acme", "sub_1", [letter(id, body=b"anew")])
    await store.drop_account("acme")
    with pytest.raises(Gone):
        await store.relay("acme", "sub_2", [letter(id, body=b"anew")])
    assert await bodies_left(store) == 0 or await store.lanes("sub_1") == 0


async def test_a_notice_needs_no_shipment_and_has_the_same_name_each_time(store: Store) -> None:
    id = store.notice_id("acme", "sub_2 was disabled")
    assert id == store.notice_id("acme", "sub_2 was disabled") != store.notice_id("other", "sub_2 was disabled")
    notice = Letter(id=id, revision=1, kind="milepost.endpoint.disabled", body=b"{}")
    assert await store.relay("acme", "sub_1", [notice]) == [Relayed.PUT]
    assert await store.relay("acme", "sub_1", [notice]) == [Relayed.WAITS]
    (told,) = await settled(store, await claim(store, "c1"))
    assert (told.id, told.kind, told.body, told.account) == (id, "milepost.endpoint.disabled", b"{}", "acme")


async def test_a_dead_letter_that_waits_again_already_is_not_doubled(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    (delivery,) = await claim(store, "c1")
    await store.settle_lanes([Settlement(delivery=delivery, outcome=Outcome.DEAD)])
    ((dead,), _) = await store.dead_letters("acme")
    assert await store.relay("acme", "sub_1", [letter(id, body=b"anew")]) == [Relayed.PUT]
    assert await store.replay_dead("acme", [dead.id]) == 1
    assert len(await settled(store, await claim(store, "c2"))) == 1
    assert await claim(store, "c3") == []
    assert await bodies_left(store) == 0


async def test_what_is_given_back_unattempted_is_not_counted(store: Store) -> None:
    await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    for n in range(3):
        (held,) = await claim(store, f"c{n}")
        assert held.attempt == 1
        await store.settle_lanes([Settlement(delivery=held, outcome=Outcome.HELD, retry_at=1)])
