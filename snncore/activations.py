"""Functions of the numbers that a layer without spikes puts out."""

from __future__ import annotations

import torch
from torch import Tensor

from snncore import spec

_FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def activated(x: Tensor, activation: spec.Activation) -> Tensor:
    """f(x), elementwise."""
    return x if activation == "linear" else _FUNCTIONS[activation](x)
