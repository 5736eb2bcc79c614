"""How the output of a network is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import NonNegativeMs, Part, PositiveMs, UnitCount
from snncore.spec.synapses import NormalWeights, Weights


class LeakyReadout(Part):
    """Linear units that low-pass their input and never spike; a value for each class or output.

    y[t] = decay * y[t-1] + (1 - decay) * (W z[t]) + bias, read at the last step, or averaged over a window or each
    frame.
    """

    kind: Literal["leaky"]
    tau_ms: PositiveMs = 20.0
    reduction: Literal["last", "mean", "mean_by_frame"] = Field(
        default="last", description="'mean_by_frame' gives an output for each frame of the encoding."
    )
    window_ms: PositiveMs | None = Field(
        default=None, description="The last part of the presentation, for 'mean'; all of it when absent."
    )
    bias: bool = True
    weights: Weights = NormalWeights(kind="normal")

    @property
    def by_frame(self) -> bool:
        return self.reduction == "mean_by_frame"


class SpikeCountReadout(Part):
    """Groups of spiking neurons; the output is the mean spike count (or rate) of each group after the warm-up."""

    kind: Literal["spike_count"]
    group_size: UnitCount = 1
    warmup_ms: NonNegativeMs = Field(
        default=0.0, description="Spikes before this moment, of the presentation or of each frame, do not count."
    )
    by_frame: bool = Field(default=False, description="Whether each frame of the encoding is counted apart.")
    recurrent: bool = Field(
        default=False,
        description="Whether the output neurons are members of the recurrent population (recurrent architecture "
        "only; that of the embedded network, where there is one), or a spiking layer after it.",
    )
    weights: Weights = NormalWeights(kind="normal")


class EveryStepReadout(Part):
    """Linear units whose value at each time step is an output of its own: y[t] = W h[t] + bias.

    What is asked of a sample is asked at every step: the loss is a mean over them, and so is the probability of a class
    (Gerum & Schilling 2020, section 4).
    """

    kind: Literal["every_step"]
    bias: bool = True
    weights: Weights = NormalWeights(kind="normal")

    @property
    def by_frame(self) -> bool:
        return False


class AccumulatorReadout(Part):
    """Units that sum up what they are sent and never leak or spike: y[t] = y[t-1] + W h[t] + bias, read at the last
    step. `non_negative` keeps the sum at zero or above at every step (tf_spiking)."""

    kind: Literal["accumulator"]
    non_negative: bool = False
    bias: bool = True
    weights: Weights = NormalWeights(kind="normal")

    @property
    def by_frame(self) -> bool:
        return False


Readout = Annotated[
    LeakyReadout | SpikeCountReadout | EveryStepReadout | AccumulatorReadout, Field(discriminator="kind")
]
