"""Sums over the batches of an epoch or a split, from which its metrics are made.

They are tensors in double precision, so that nothing waits for the device in between, and so that a checkpoint in the
middle of an epoch can carry them and the resumed epoch comes to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from snncore.tasks import Judgement

Sums = dict[str, Tensor]


class Tally:
    """What has been presented since the tally was opened."""

    def __init__(self, sums: Mapping[str, Tensor] | None = None) -> None:
        self.sums: Sums = dict(sums or {})

    def add(self, judgement: Judgement, counts: Mapping[str, Tensor]) -> None:
        """Count a batch. `counts` are the spikes of each neuron, `[B, N]` by layer."""
        asked = judgement.label >= 0
        n = asked.sum().double()
        self._plus("n_samples", torch.tensor(judgement.label.shape[0], dtype=torch.float64))
        self._plus("n_decisions", n)
        self._plus("loss", judgement.loss.detach().double() * n)
        self._plus("correct", (judgement.correct & asked).sum().double())
        if judgement.probability is not None:
            self._plus("probability", judgement.probability[asked].sum().double())
        for layer, count in counts.items():
            self._plus(f"spikes/{layer}", count.detach().sum(dim=0).double())

    def add_ceiling(self, chances: Tensor) -> None:
        """Count how likely an ideal observer was right, one chance a decision."""
        self._plus("ceiling", chances.sum().double())

    def add_value(self, name: str, value: Tensor) -> None:
        """Add to a sum of its own, one value a batch."""
        self._plus(f"value/{name}", value.detach().double())
        self._plus(f"count/{name}", torch.tensor(1, dtype=torch.float64))

    def _plus(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    @property
    def n_samples(self) -> int:
        return int(self.sums["n_samples"])

    @property
    def n_decisions(self) -> float:
        """Answers that were asked for. A sample may ask for none, and for several."""
        return max(1.0, float(self.sums["n_decisions"]))

    @property
    def loss(self) -> float:
        return float(self.sums["loss"]) / self.n_decisions

    @property
    def accuracy(self) -> float:
        return float(self.sums["correct"]) / self.n_decisions

    @property
    def true_label_probability(self) -> float | None:
        """Mean probability of the right class, where outputs stand for probabilities."""
        return float(self.sums["probability"]) / self.n_decisions if "probability" in self.sums else None

    def worth(self, selection: Literal["accuracy", "loss", "true_label_probability"]) -> float:
        """What the best weights are the best by: more is better."""
        match selection:
            case "accuracy":
                return self.accuracy
            case "loss":
                return -self.loss
            case "true_label_probability":
                assert self.true_label_probability is not None  # by the rules of the spec
                return self.true_label_probability

    @property
    def ceiling(self) -> float | None:
        """Accuracy of an ideal observer, where there is one."""
        return float(self.sums["ceiling"]) / self.n_decisions if "ceiling" in self.sums else None

    def total(self, name: str) -> float:
        """Sum over the batches of what `add_value` was given."""
        return float(self.sums[f"value/{name}"])

    def mean_value(self, name: str) -> float:
        """Mean over the batches of what `add_value` was given."""
        return float(self.sums[f"value/{name}"] / self.sums[f"count/{name}"])

    def layers(self) -> list[str]:
        return [name.removeprefix("spikes/") for name in self.sums if name.startswith("spikes/")]

    def spikes_a_sample(self, layer: str) -> float:
        return float(self.sums[f"spikes/{layer}"].sum()) / self.n_samples

    def spikes_a_neuron(self, layer: str) -> float:
        """Spikes of a neuron during a sample, on average."""
        return float(self.sums[f"spikes/{layer}"].mean()) / self.n_samples

    def rate_hz(self, layer: str, duration_ms: float) -> float:
        """Mean firing rate of a layer's neurons."""
        return self.spikes_a_neuron(layer) / duration_ms * 1000

    def silent_share(self, layer: str) -> float:
        """Share of a layer's neurons that never fired."""
        return float((self.sums[f"spikes/{layer}"] == 0).double().mean())
