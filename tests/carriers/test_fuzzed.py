"""Every adapter, over its fixtures bent by hypothesis."""

from __future__ import annotations

import pytest

from carriers.conformance import fuzzing
from carriers.quality import folder_of
from carriers.registry import load

CARRIERS = list(load()[0])


@pytest.mark.parametrize("carrier", CARRIERS, ids=[carrier.slug for carrier in CARRIERS])
def test_an_adapter_bears_any_body(carrier: fuzzing.Carrier) -> None:
    fuzzing.check(carrier, folder_of(carrier) / "fixtures")
