"""A stack of layers presented one after the other, for engines that run one layer at a time under autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from snncore.engines.interface import Activity, Input, Layer, as_numbers
from snncore.spikes import SpikeTrain
from snncore.synapses import Synapses

PresentLayer: TypeAlias = Callable[[Tensor, Layer, bool], tuple[Tensor, Tensor | None]]
"""(input `[T, B, M]`, layer, whether to keep potentials) -> spikes `[T, B, N]` with their gradient, and potentials."""


def layer_by_layer(
    present: PresentLayer,
    x: Input,
    layers: Sequence[Layer],
    *,
    kernel: Tensor | None,
    projection: Synapses | None,
    keep_z: bool,
    keep_v: bool,
) -> Activity:
    """Each layer gets the spikes of the one before as numbers; what is read is linear in them and left to autograd."""
    z = as_numbers(x, layers[0].neurons.decay_mem.dtype)
    spikes, totals = [], []
    v: Tensor | None = None
    for layer in layers:
        z, v = present(z, layer, keep_v and layer is layers[-1])
        spikes.append(SpikeTrain.pack(z.detach() > 0.5))
        totals.append(z.sum(dim=0))
    return Activity(
        spikes=tuple(spikes),
        totals=tuple(totals),
        weighted=None if kernel is None else torch.einsum("t,tbn->bn", kernel, z),
        projected=None if projection is None else projection(z),
        z=z if keep_z else None,
        v=None if v is None else v.detach(),
    )


def arriving_current(source: Tensor, layer: Layer) -> Tensor:
    """What arrives at the neurons of a layer from outside of it, `[T, B, N]`."""
    current = source if layer.synapses is None else layer.synapses(source)
    return current if layer.bias is None else current + layer.bias
