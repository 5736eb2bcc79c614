"""From integrator to coincidence detector: how far apart impulses may come."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from snncore.illustrations.base import Illustration, IntegerMatrix, Parameters, Result, Vector
from snncore.lif_unit import largest_distance


class CoincidenceParameters(Parameters):
    resolution: int = Field(default=50, ge=2, le=100, description="Values of each weight, evenly spaced in (0, 1).")
    cap_steps: int = Field(default=10, ge=1, le=1_000, description="Larger distances count as this.")


class PhaseDiagrams(Result):
    """Distances in steps, `[w_leak, w_input]`, at most `cap_steps`; 0: the unit spikes at no distance."""

    w_input: Vector = Field(description="Of each column.")
    w_leak: Vector = Field(description="Of each row.")
    cap_steps: int
    two_spikes: IntegerMatrix = Field(description="The largest distance at which the second impulse makes it spike.")
    three_spikes: IntegerMatrix = Field(description="At which the third one at the latest does.")
    infinite_spikes: IntegerMatrix = Field(description="At which any number of impulses does.")


def compute(parameters: CoincidenceParameters) -> PhaseDiagrams:
    n = parameters.resolution
    weights = (np.arange(n) + 0.5) / n

    def panel(n_spikes: int | None) -> IntegerMatrix:
        distances = largest_distance(n_spikes, weights, weights[:, None])
        capped: IntegerMatrix = np.minimum(np.nan_to_num(distances, nan=0.0), parameters.cap_steps).astype(np.int64)
        return capped

    return PhaseDiagrams(
        w_input=weights,
        w_leak=weights,
        cap_steps=parameters.cap_steps,
        two_spikes=panel(2),
        three_spikes=panel(3),
        infinite_spikes=panel(None),
    )


ILLUSTRATION = Illustration(
    name="coincidence",
    title="Integrator or coincidence detector",
    shows="The largest distance at which 2, 3 or any number of unit impulses make a unit of threshold 1 spike.",
    source="tf_spiking, the package of Gerum & Schilling 2020 (phase diagram)",
    parameters=CoincidenceParameters,
    result=PhaseDiagrams,
    compute=compute,
    examples=({"resolution": 20, "cap_steps": 20},),
)
