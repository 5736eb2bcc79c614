"""What a sample costs on hardware that works when something arrives: an estimate of its arithmetic, in nJ.

A synapse that a spike goes through is an accumulate, since a spike has no size that would be multiplied. A synapse that
a number goes through is a multiply-accumulate, each time that the number changes: what stays the same is multiplied
once. Nothing else is counted (see docs/cost.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snncore import spec

NJ_A_PJ = 1e-3


@dataclass(frozen=True, slots=True)
class Link:
    """Synapses into the layer `to`, and what goes through them for one sample."""

    to: str
    synapses: float
    """How many there are: products, where numbers go through them."""
    senders: frozenset[str] | None
    """The layers whose spikes go through them; None: numbers do."""
    fan_out: float = 0.0
    """Synapses that one of these spikes goes through, on average."""
    changes: int = 1
    """How often the numbers change in the presentation of a sample."""

    def accumulates(self, spikes: Mapping[str, float]) -> float:
        return self.fan_out * sum(spikes[sender] for sender in self.senders or ())

    def multiply_accumulates(self) -> float:
        return self.synapses * self.changes if self.senders is None else 0.0


def energy(
    links: Iterable[Link], spikes: Mapping[str, float], constants: spec.Energy, frames: int = 1
) -> dict[str, Any]:
    """Operations and energy a sample, as they stand in the `cost` of a result.

    `spikes` are those a sample of each layer that sends some. An ordinary network, which `dense_nj` is about, has the
    same synapses, and each of them is a multiply-accumulate in every one of the `frames` that a sample consists of.
    """
    links = list(links)
    multiply_accumulates = accumulates = total = 0.0
    by_layer: dict[str, float] = {}
    for link in links:
        products, sums = link.multiply_accumulates(), link.accumulates(spikes)
        nj = NJ_A_PJ * (products * constants.multiply_accumulate_pj + sums * constants.accumulate_pj)
        multiply_accumulates, accumulates, total = multiply_accumulates + products, accumulates + sums, total + nj
        by_layer[link.to] = by_layer.get(link.to, 0.0) + nj
    dense = NJ_A_PJ * frames * sum(link.synapses for link in links) * constants.multiply_accumulate_pj
    return {
        "multiply_accumulates_per_sample": multiply_accumulates,
        "accumulates_per_sample": accumulates,
        "energy": {
            "multiply_accumulate_pj": constants.multiply_accumulate_pj,
            "accumulate_pj": constants.accumulate_pj,
            "total_nj": total,
            "by_layer_nj": by_layer,
            "dense_nj": dense,
            "ratio": total / dense if dense else None,
        },
    }
