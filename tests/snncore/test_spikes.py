"""Spike trains as bits."""

from __future__ import annotations

import pytest
import torch

from snncore.spikes import SpikeTrain


@pytest.mark.parametrize("n_steps", [0, 1, 2, 3, 7, 8, 255, 300])
@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_counts_are_the_sums_of_the_spikes(n_steps: int, rate: float) -> None:
    z = torch.rand(n_steps, 3, 130, generator=torch.Generator().manual_seed(0)) < rate
    train = SpikeTrain.pack(z)
    assert torch.equal(train.counts(), z.sum(dim=0))
    assert torch.equal(train.neurons(60, 125).counts(), z.sum(dim=0)[:, 60:125])
    assert torch.equal(train.sample(1).counts(), z.sum(dim=0)[1:2])
