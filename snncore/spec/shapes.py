"""What passes from layer to layer of an architecture 'sequential': how many numbers a step, and of which image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from snncore.spec.dataset import Dataset, image_shape, n_features
from snncore.spec.encoding import inputs_a_feature
from snncore.spec.recordings import EventRecordings
from snncore.spec.sequential import (
    LSTM,
    AveragePool,
    Conv2d,
    Dense,
    Dropout,
    NamedLayers,
    ReLU,
    Residual,
    SequentialLayer,
    named_layers,
)

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


class Shape(NamedTuple):
    """`n` numbers; where they are an image, its height, width and channels, in the order of which they come."""

    n: int
    image: tuple[int, int, int] | None = None


def of_image(height: int, width: int, channels: int) -> Shape:
    return Shape(height * width * channels, (height, width, channels))


@dataclass(frozen=True, slots=True)
class PlacedLayer:
    """A layer in its network."""

    name: str
    layer: SequentialLayer
    sender: str
    """Who puts out what it takes: `input`, or a layer. Dropout puts out nothing of its own."""
    before: Shape
    after: Shape
    steady: bool
    """Whether what it takes is the same at all time steps."""


def n_inputs(spec: JobSpec) -> int:
    """Input neurons of the network."""
    return n_features(spec.dataset) // spec.encoding.frames * inputs_a_feature(spec.encoding)


def sample_image(dataset: Dataset) -> tuple[int, int, int] | None:
    """The image that a sample is, or that the sensor of its events has; None where there are no rows and columns."""
    if isinstance(dataset, EventRecordings):
        return dataset.addresses if dataset.addresses[0] > 1 else None
    return image_shape(dataset)


def input_shape(spec: JobSpec) -> Shape:
    """What the first layer takes: an image where samples are images and shown whole. The neurons of a feature are
    channels of its pixel."""
    image = sample_image(spec.dataset)
    if image is None or spec.encoding.frames > 1:
        return Shape(n_inputs(spec))
    height, width, channels = image
    return of_image(height, width, channels * inputs_a_feature(spec.encoding))


def shape_after(layer: SequentialLayer, before: Shape) -> Shape:
    """What a layer makes of `before`. Where it can make nothing of it, which `snncore.spec.rules.shapes` refuses, the
    same number of numbers."""
    height, width, channels = before.image or (0, 0, 0)
    match layer:
        case Dense() | LSTM():
            return Shape(layer.n_units)
        case Conv2d():
            sides = layer.side(height), layer.side(width)
            return of_image(*sides, layer.channels) if before.image and min(sides) >= 1 else Shape(before.n)
        case AveragePool():
            sides = height // layer.size, width // layer.size
            return of_image(*sides, channels) if min(sides) >= 1 else Shape(before.n)
        case Residual():
            return shape_behind(layer.branches("")[0], before)
        case _:
            return before


def shape_behind(layers: NamedLayers, before: Shape) -> Shape:
    """What a stack of layers makes of `before`."""
    for _, layer in layers:
        before = shape_after(layer, before)
    return before


def placed_layers(spec: JobSpec) -> list[PlacedLayer]:
    """The layers of an architecture 'sequential' as `named_layers` names them, those inside of residual ones before
    these."""
    steady = not spec.encoding.makes_spikes and spec.encoding.frames == 1
    return list(_placed(list(named_layers(spec)), "input", input_shape(spec), steady))


def _placed(layers: NamedLayers, sender: str, before: Shape, steady: bool) -> Iterator[PlacedLayer]:
    for name, layer in layers:
        after = shape_after(layer, before)
        varies = _varies(layer)
        if isinstance(layer, Residual):
            for branch in layer.branches(name):
                inner = list(_placed(branch, sender, before, steady))
                varies = varies or any(_varies(part.layer) for part in inner)
                yield from inner
        yield PlacedLayer(name, layer, sender, before, after, steady)
        if not isinstance(layer, Dropout):
            sender = name
        before, steady = after, steady and not varies


def _varies(layer: SequentialLayer) -> bool:
    """Whether it makes something that changes over time of what does not."""
    if isinstance(layer, Dropout):
        return layer.over_time == "independent"
    return not isinstance(layer, Dense | Conv2d | AveragePool | ReLU | Residual)


def connections(layer: Conv2d, before: tuple[int, int, int]) -> int:
    """Pairs of an input and a unit that it reaches: the multiplications of a convolution, without those by padding."""
    height, width, channels = before
    return prod(_reached(layer, side) for side in (height, width)) * channels * layer.channels


def _reached(layer: Conv2d, side: int) -> int:
    """The same along one side: of each unit, how much of its kernel lies on the image."""
    starts = (i * layer.stride - layer.border for i in range(layer.side(side)))
    return sum(max(0, min(side, start + layer.kernel) - max(0, start)) for start in starts)
