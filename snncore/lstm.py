"""Long short-term memory between spiking layers.

i, f, o = sigmoid(W x[t] + U h[t-1] + b),  g = tanh(W x[t] + U h[t-1] + b)
c[t] = f c[t-1] + i g,  h[t] = o tanh(c[t])              (Hochreiter & Schmidhuber 1997; Gers et al. 2000)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from snncore import spec
from snncore.streams import stream


class LSTM(nn.Module):
    """`[T, B, M]` to `[T, B, n_units]`, from rest. torch's LSTM with one bias a gate: its second one stays zero."""

    def __init__(
        self, layer: spec.LSTM, n_inputs: int, *, name: str, seed: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        self.n_units = n = layer.n_units
        self.cell = nn.LSTM(n_inputs, n, dtype=dtype, device=device)
        bound = math.sqrt(6 / (n_inputs + 4 * n))  # the four gates are one matrix, as in Keras
        kernel = stream(seed, f"weights/{name}/input").uniform(-bound, bound, (4 * n, n_inputs))
        gaussian = stream(seed, f"weights/{name}/recurrent").standard_normal((4 * n, n))
        orthogonal, upper = np.linalg.qr(gaussian)
        initial = {
            "weight_ih_l0": torch.from_numpy(kernel),
            "weight_hh_l0": torch.from_numpy(orthogonal * np.sign(np.diag(upper))),
            "bias_ih_l0": torch.tensor([0.0, layer.forget_bias, 0.0, 0.0]).repeat_interleave(n),  # i, f, g, o
            "bias_hh_l0": torch.zeros(4 * n),
        }
        for part, parameter in self.cell.named_parameters():
            parameter.detach().copy_(initial[part])
            parameter.requires_grad_(part != "bias_hh_l0")

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.cell(x)[0]
        return h
