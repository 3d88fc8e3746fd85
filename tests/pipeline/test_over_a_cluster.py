"""The same pipeline over three servers as a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.daemon import running
from tests.pipeline.pushes import PUSH
from tests.pipeline.test_pushed import every_body_goes_the_whole_way
from tests.store import test_cluster
from tests.store.clusters import Node

pytestmark = pytest.mark.cluster
nodes = test_cluster.nodes  # the fixture


@pytest.mark.parametrize("slug", sorted(PUSH))
async def test_every_body_goes_the_whole_way_over_a_cluster(slug: str, nodes: list[Node], tmp_path: Path) -> None:
    for node in nodes:
        await node.ask("FLUSHALL")
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    async with running(tmp_path, store=url) as (desk, subscriber):
        await every_body_goes_the_whole_way(desk, subscriber, slug)
