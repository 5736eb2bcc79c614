"""Layers that act on images: `[T, B, M]` in, `[T, B, N]` out, features in the order row, column, channel.

torch calls that order of an image channels_last, so that images are views here, and nothing is copied.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from snncore import spec
from snncore.activations import activated
from snncore.synapses import initial_weights

ImageShape = tuple[int, int, int]
"""Height, width, channels."""


class Convolution(nn.Module):
    """f(W * x[t] + b) at every step, with `weight` `[channels, channels before, kernel, kernel]`."""

    def __init__(
        self,
        layer: spec.Conv2d,
        before: ImageShape,
        *,
        name: str,
        seed: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.before = before
        shape = (layer.channels, before[2], layer.kernel, layer.kernel)
        seen, reached = before[2] * layer.kernel**2, layer.channels * layer.kernel**2
        drawn = initial_weights(layer.weights, shape, seen, reached, seed=seed, name=f"{name}/input")
        self.weight = nn.Parameter(torch.from_numpy(drawn).to(device=device, dtype=dtype))
        self.bias = nn.Parameter(self.weight.new_zeros(layer.channels)) if layer.bias else None

    def forward(self, x: Tensor) -> Tensor:
        images = as_images(x, self.before)
        made = conv2d(images, self.weight, self.bias, self.layer.stride, self.layer.border)
        return activated(as_features(made, x.shape[0]), self.layer.activation)

    def connections(self) -> int:
        """Pairs of an input and a unit that it reaches."""
        return spec.connections(self.layer, self.before)

    def fan_out(self) -> float:
        """Synapses that a spike of a pixel goes through, on average: fewer at the border."""
        return self.connections() / prod(self.before)


class AveragePool(nn.Module):
    """The mean of blocks of pixels, in each channel."""

    def __init__(self, size: int, before: ImageShape) -> None:
        super().__init__()
        self.size = size
        self.before = before

    def forward(self, x: Tensor) -> Tensor:
        return as_features(avg_pool2d(as_images(x, self.before), self.size), x.shape[0])


def as_images(x: Tensor, shape: ImageShape) -> Tensor:
    """`[T, B, height * width * channels]` as `[T * B, channels, height, width]`."""
    return x.reshape(-1, *shape).permute(0, 3, 1, 2)


def as_features(images: Tensor, n_steps: int) -> Tensor:
    """The way back from images to `[T, B, N]`."""
    rows = images.permute(0, 2, 3, 1)
    return rows.reshape(n_steps, rows.shape[0] // n_steps, -1)
