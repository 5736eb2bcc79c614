"""What is kept of a run besides metrics and checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part


class Energy(Part):
    """What an operation takes in the estimate of a result's `cost.energy`.

    Those of 45 nm CMOS with floats of 32 bits at 0.9 V (Horowitz 2014, ISSCC, figure 1.1.9): a multiplication takes
    3.7 pJ, an addition 0.9 pJ.
    """

    multiply_accumulate_pj: float = Field(default=4.6, ge=0, le=1e9, description="A number through a synapse.")
    accumulate_pj: float = Field(default=0.9, ge=0, le=1e9, description="A spike through a synapse.")


class _Recording(Part):
    energy: Energy = Energy()


class RecordNothing(_Recording):
    """Metrics and checkpoints only."""

    kind: Literal["none"]


class RecordReceptiveFields(Part):
    """The incoming weights of the layer that the input arrives at: before the first epoch, after every
    `every_epochs`-th, and after the last."""

    every_epochs: int = Field(default=1, ge=1, le=1_000_000)
    n_neurons: int | None = Field(default=None, ge=1, le=1_000_000, description="Only of the first so many neurons.")


class RecordSpikes(_Recording):
    """The rasters of all layers for the first `n_samples` samples of the validation split (the test split where there
    is no validation) every `every_epochs` epochs, and of the test split at the end."""

    kind: Literal["spikes"]
    n_samples: int = Field(default=4, ge=1, le=1_000)
    every_epochs: int = Field(default=1, ge=1, le=1_000_000)
    receptive_fields: RecordReceptiveFields | None = Field(
        default=None, description="Absent: none are kept. `{}` keeps those of all neurons."
    )


Recording = Annotated[RecordNothing | RecordSpikes, Field(discriminator="kind")]
