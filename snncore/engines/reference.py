"""The reference engine: the plain loop of `snncore.scan` for each layer, and autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snncore.engines.interface import FULL, Activity, Backward, Checkpointed, Full, Input, Layer, Truncated, check_input
from snncore.engines.stack import arriving_current, layer_by_layer
from snncore.scan import unroll
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
        return layer_by_layer(
            lambda source, layer, keep: _present(arriving_current(source, layer), layer, backward, keep_v=keep),
            x,
            layers,
            kernel=kernel,
            projection=projection,
            keep_z=keep_z,
            keep_v=keep_v,
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
