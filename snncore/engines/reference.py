"""The reference engine: the plain loop of `snncore.scan` for each layer, and autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snncore.engines.interface import (
    FULL,
    Activity,
    Backward,
    Checkpointed,
    Full,
    Input,
    Layer,
    Truncated,
    as_numbers,
    check_input,
)
from snncore.scan import unroll
from snncore.spikes import SpikeTrain
from snncore.synapses import Synapses


class ReferenceEngine:
    """Readable, exact in any precision, and slow. The oracle of the other engines."""

    name = "reference"

    def __call__(
        self,
        x: Input,
        layers: Sequence[Layer],
        *,
        kernel: Tensor | None = None,
        projection: Synapses | None = None,
        backward: Backward = FULL,
        keep_z: bool = False,
        keep_v: bool = False,
    ) -> Activity:
        check_input(x, layers)
        z = as_numbers(x, layers[0].neurons.decay_mem.dtype)
        spikes, totals = [], []
        v: Tensor | None = None
        for layer in layers:
            current = z if layer.synapses is None else layer.synapses(z)
            if layer.bias is not None:
                current = current + layer.bias
            z, v = _present(current, layer, backward, keep_v=keep_v and layer is layers[-1])
            spikes.append(SpikeTrain.pack(z.detach()))
            totals.append(z.sum(dim=0))
        return Activity(
            spikes=tuple(spikes),
            totals=tuple(totals),
            weighted=None if kernel is None else torch.einsum("t,tbn->bn", kernel, z),
            projected=None if projection is None else projection(z),
            z=z if keep_z else None,
            v=None if v is None else v.detach(),
        )


def _present(current: Tensor, layer: Layer, backward: Backward, *, keep_v: bool) -> tuple[Tensor, Tensor | None]:
    """All steps of one layer."""
    match backward:
        case Full():
            scan = unroll(current, layer.neurons, layer.spike, layer.recurrence, keep_v=keep_v)
            return scan.z, scan.v
        case Truncated(window):
            state, scans = None, []
            for part in torch.split(current, window):
                scan = unroll(part, layer.neurons, layer.spike, layer.recurrence, state, keep_v=keep_v)
                state = scan.state.detach()
                scans.append(scan)
            potentials = torch.cat([scan.v for scan in scans if scan.v is not None]) if keep_v else None
            return torch.cat([scan.z for scan in scans]), potentials
        case Checkpointed():
            raise ValueError("the reference engine keeps every step; take the backward strategy 'full' or 'truncated'")
