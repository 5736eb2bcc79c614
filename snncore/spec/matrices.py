"""The weight matrices of a network, and which of them are rewired."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snncore.spec.architecture import Recurrent
from snncore.spec.readout import SpikeCountReadout
from snncore.spec.sequential import Dense, Dropout, Sequential, Spiking
from snncore.spec.shapes import n_inputs, placed_layers

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


@dataclass(frozen=True, slots=True)
class WeightMatrix:
    """All-to-all synapses from the neurons of one population to those of another, or of the same."""

    name: str
    sender: str
    """The population that its presynaptic neurons are."""
    n_pre: int
    n_post: int
    autapses: bool = True

    @property
    def n_synapses(self) -> int:
        return self.n_post * self.n_pre - (0 if self.autapses else self.n_post)


def weight_matrices(spec: JobSpec) -> list[WeightMatrix]:
    """The weight matrices of the network that are trained, by the names that `snncore.networks` gives them."""
    architecture, readout = spec.layered, spec.layered.readout
    n_out = spec.n_outputs * (readout.group_size if isinstance(readout, SpikeCountReadout) else 1)
    sender, width = "input", n_inputs(spec)
    matrices = []
    if isinstance(architecture, Recurrent):
        embedded = architecture.embedded
        inside = isinstance(readout, SpikeCountReadout) and readout.recurrent
        n = architecture.n_hidden + (n_out if inside and embedded is None else 0)
        matrices.append(WeightMatrix("hidden/input", sender, width, n))
        matrices.append(WeightMatrix("hidden/recurrent", "hidden", n, n, architecture.recurrence.autapses))
        if embedded is not None:
            matrices.append(WeightMatrix("embedded_input/input", "hidden", n, embedded.network.n_inputs))
        if inside:
            return matrices
        sender, width = "hidden", n
    elif isinstance(architecture, Sequential):
        for part in placed_layers(spec):
            n = part.after.n
            if isinstance(part.layer, Dense):
                matrices.append(WeightMatrix(f"{part.name}/input", part.sender, part.before.n, n))
            elif isinstance(part.layer, Spiking) and part.layer.recurrence is not None:
                autapses = part.layer.recurrence.autapses
                matrices.append(WeightMatrix(f"{part.name}/recurrent", part.name, n, n, autapses))
            sender = part.sender if isinstance(part.layer, Dropout) else part.name
            width = n
        if isinstance(readout, SpikeCountReadout):
            return matrices
    else:
        for i, n in enumerate(architecture.layers, start=1):
            matrices.append(WeightMatrix(f"hidden_{i}/input", sender, width, n))
            sender, width = f"hidden_{i}", n
    return [*matrices, WeightMatrix("output/input", sender, width, n_out)]


def rewired_matrices(spec: JobSpec) -> list[tuple[WeightMatrix, float]]:
    """The matrices that `training.rewiring` names, with the connectivity of each; names that are none are left out."""
    rewiring = spec.bptt.rewiring
    if rewiring is None:
        return []
    known = {matrix.name: matrix for matrix in weight_matrices(spec)}
    if isinstance(rewiring.connectivity, dict):
        chosen = rewiring.connectivity
    else:
        names = rewiring.matrices or [name for name in known if name.startswith("hidden")]
        chosen = dict.fromkeys(names, rewiring.connectivity)
    return [(known[name], share) for name, share in chosen.items() if name in known]


def most_synapses(matrices: Iterable[tuple[WeightMatrix, float]]) -> int:
    """How many synapses all of these may have together: the sum of connectivity * size, rounded down."""
    total = sum(share * matrix.n_synapses for matrix, share in matrices)
    return math.floor(round(total, 6))  # 0.29 of 100 is 28.999999999999996
