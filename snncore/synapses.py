"""Trainable all-to-all synapses with delays.

    I_j[t] = sum_i W_ji z_i[t - delay_ji]                       (Renner 2020, eq. 2.6; delay in steps)

Delay 0 arrives in the step in which it was sent. Spikes from before the first step are none.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear

from snncore import spec
from snncore.errors import NetworkUnavailable
from snncore.streams import stream


class Synapses(nn.Module):
    """`weight` is `[N_post, N_pre]`. `delay` is a number of steps for all, or one for each synapse."""

    weight: nn.Parameter
    delay: Tensor
    """int16 `[N_post, N_pre]`, where the synapses have delays of their own."""

    def __init__(
        self,
        n_pre: int,
        n_post: int,
        *,
        name: str,
        seed: int,
        weights: spec.Weights,
        delay: spec.Delay,
        autapses: bool = True,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        shape = (n_post, n_pre)
        drawn = initial_weights(weights, shape, n_pre, n_post, seed=seed, name=name)
        initial = torch.from_numpy(drawn).to(device=device, dtype=dtype)
        self.masked = not autapses
        if self.masked:
            initial.fill_diagonal_(0)
        self.weight = nn.Parameter(initial)
        self.longest_delay = delay.longest
        self.delays = range(delay.shortest, delay.longest + 1)
        if len(self.delays) > 1:
            steps = stream(seed, f"delays/{name}").integers(delay.shortest, delay.longest, shape, endpoint=True)
            self.register_buffer(
                "delay", torch.from_numpy(steps).to(device=device, dtype=torch.int16), persistent=False
            )
        if self.masked:
            # A gradient of zero keeps Adam from ever moving the diagonal away from its zeros.
            self.weight.register_hook(_without_diagonal)  # type: ignore[no-untyped-call]

    def freeze(self, weight: Tensor) -> None:
        """Take these weights `[N_post, N_pre]`, for good: nothing trains them. Raises `NetworkUnavailable`."""
        if weight.shape != self.weight.shape:
            raise NetworkUnavailable(
                f"architecture.embedded: weights of {list(weight.shape)} are not those of synapses of "
                f"{list(self.weight.shape)}"
            )
        with torch.no_grad():
            self.weight.copy_(weight)
        self.weight.requires_grad_(False)

    def count(self) -> int:
        """Synapses that exist: those that have a weight."""
        return int(torch.count_nonzero(self.weight))

    def fan_out(self) -> float:
        """Synapses that a spike of a presynaptic neuron goes through, on average."""
        return self.count() / self.weight.shape[1]

    def weight_by_delay(self) -> dict[int, Tensor]:
        """For each delay, the weights `[N_post, N_pre]` of the synapses that have it, zero elsewhere."""
        if len(self.delays) == 1:
            return {self.delays[0]: self.weight}
        return {steps: self.weight * (self.delay == steps) for steps in self.delays}

    def forward(self, z: Tensor) -> Tensor:
        """The current `[T, B, N_post]` that a whole train of spikes or inputs `[T, B, N_pre]` makes."""
        current: Tensor | None = None
        for steps, weight in self.weight_by_delay().items():
            delayed = _delay(_project(z, weight), steps)
            current = delayed if current is None else current + delayed
        assert current is not None
        return current


def initial_weights(
    weights: spec.Weights, shape: tuple[int, ...], fan_in: int, fan_out: int, *, seed: int, name: str
) -> NDArray[np.float64]:
    """Weights of `shape` as the spec wants them, from the stream of `name`."""
    draw = stream(seed, f"weights/{name}")
    match weights:
        case spec.NormalWeights():
            return draw.standard_normal(shape) * (weights.gain / math.sqrt(fan_in))
        case spec.UniformWeights():
            return draw.uniform(-1, 1, shape) * (weights.gain / math.sqrt(fan_in))
        case spec.GlorotWeights():
            return draw.uniform(-1, 1, shape) * (weights.gain / math.sqrt((fan_in + fan_out) / 6))
        case spec.HeFanOutWeights():
            return draw.standard_normal(shape) * (weights.gain * math.sqrt(2 / fan_out))
        case spec.FixedNormalWeights():
            return draw.standard_normal(shape) * weights.std


def _without_diagonal(gradient: Tensor) -> Tensor:
    return gradient - torch.diag(gradient.diagonal())


def _project(z: Tensor, weight: Tensor) -> Tensor:
    """`z W^T` for all steps in one product; a train that is one step repeated (stride 0 in time) is projected once."""
    if z.shape[0] > 1 and z.stride(0) == 0:
        return linear(z[:1], weight).expand(z.shape[0], -1, -1)
    return linear(z, weight)


def _delay(current: Tensor, steps: int) -> Tensor:
    """`current` `[T, B, N]` moved to later steps, with nothing before it."""
    if steps == 0:
        return current
    silent = min(steps, current.shape[0])
    return torch.cat([current.new_zeros(silent, *current.shape[1:]), current[: current.shape[0] - silent]])
