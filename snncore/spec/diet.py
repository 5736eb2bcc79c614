"""Training an ordinary network, converting it, and training on in spikes (DIET-SNN, Rathi & Roy 2020)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from snncore.spec.base import Part
from snncore.spec.descent import GradientDescent, WholeTraining


class AnnTraining(GradientDescent):
    """The first phase: the twin of the network, with a ReLU in the place of each spiking layer and one time step."""


class Comparison(Part):
    """The converted network as it is not trained on."""

    steps: int = Field(ge=1, le=100_000)
    scaling_factor: float = Field(default=1.0, gt=0, le=10, description="With many steps it need not be small.")
    n_samples: int | None = Field(
        default=None, ge=1, le=10_000_000, description="The first so many of the test split; null: all."
    )


class Conversion(Part):
    """The second phase: thresholds for the weights of the twin, layer by layer in their order."""

    percentile: float = Field(
        default=99.7,
        gt=0,
        le=100,
        description="A threshold is this percentile of what arrives at the layer's neurons in a step, all of them and "
        "of all samples; the highest of the steps counts.",
    )
    scaling_factor: float = Field(
        default=0.3, gt=0, le=10, description="On all thresholds once they are found: fewer steps want lower ones."
    )
    n_samples: int = Field(default=512, ge=1, le=1_000_000, description="Training samples that are presented for it.")
    steps: int = Field(default=100, ge=1, le=100_000, description="For so many steps.")
    compared: list[Comparison] = Field(
        default=[Comparison(steps=100)],
        max_length=16,
        description="How the converted network is tested besides at the steps of the encoding and the scaling factor.",
    )


class Diet(GradientDescent, WholeTraining):
    """An ordinary network is trained (`ann`), its weights and fitting thresholds become a spiking network
    (`conversion`), and weights, leaks and thresholds are trained on in spikes, by the fields that stand here
    (DIET-SNN, Rathi & Roy 2020).

    Epochs and steps count over both trainings: the first epoch in spikes is number `ann.epochs` + 1, also where early
    stopping has ended the one before sooner.
    """

    kind: Literal["diet"]
    ann: AnnTraining
    conversion: Conversion = Conversion()
    dropout_rate: float | None = Field(
        default=None, ge=0, lt=1, description="Of all dropout layers in spikes; absent: as in the twin."
    )
