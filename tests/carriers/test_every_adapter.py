"""What every adapter bears, bodies bent by hypothesis and its carrier's moods, and what its README must tell."""

from __future__ import annotations

import pytest

from carriers.conformance import fuzzing
from carriers.fixtures import folder_of
from carriers.registry import load
from carriers.sdk import Carrier
from tracker.authoring import rehearsal
from tracker.authoring.exchanges import exchanges

CARRIERS = list(load()[0])
REHEARSED = [carrier for carrier in CARRIERS if exchanges(folder_of(carrier) / "fixtures")]


@pytest.mark.parametrize("carrier", CARRIERS, ids=[carrier.slug for carrier in CARRIERS])
def test_an_adapter_bears_any_body(carrier: Carrier) -> None:
    fuzzing.check(carrier, folder_of(carrier) / "fixtures")


@pytest.mark.parametrize("carrier", REHEARSED, ids=[carrier.slug for carrier in REHEARSED])
def test_a_fetch_bears_its_carriers_moods(carrier: Carrier) -> None:
    rehearsal.check(carrier, folder_of(carrier) / "fixtures")


@pytest.mark.parametrize("carrier", CARRIERS, ids=[carrier.slug for carrier in CARRIERS])
def test_an_adapters_readme_names_each_credential_that_a_connection_holds(carrier: Carrier) -> None:
    """By the name under which it is given to `POST /v1/connections`."""
    readme = (folder_of(carrier) / "README.md").read_text(encoding="utf-8")
    assert [one.name for one in carrier.credentials if f"`{one.name}`" not in readme] == []
