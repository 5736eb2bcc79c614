"""`spikesmith bench`, which needs no service."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Outcome

Spikesmith = Callable[..., Outcome]


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_bench_compares_the_engines(spikesmith: Spikesmith) -> None:
    outcome = spikesmith("bench", "--rounds", "1", "--json")
    assert outcome.code == 0
    results = json.loads(outcome.out)
    assert "digits/lsnn" in results
    for result in results.values():
        assert set(result["ms"]) == {"reference", "fused", "training loop"}
        assert result["fused_over_reference"] == pytest.approx(result["ms"]["reference"] / result["ms"]["fused"])


@pytest.mark.usefixtures("nowhere")
def test_bench_refuses_no_rounds(spikesmith: Spikesmith) -> None:
    assert spikesmith("bench", "--rounds", "0").code == 2
