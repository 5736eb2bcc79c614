"""Layers of an architecture 'sequential' that act on images, and sums of two stacks of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.errors import Location
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import AveragePool, Conv2d, Residual, Sequential, SequentialLayer
from snncore.spec.shapes import Shape, input_shape, sample_image, shape_after

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def shapes(spec: JobSpec) -> Broken:
    if isinstance(spec.architecture, Sequential):
        why = None if input_shape(spec).image else _no_image(spec)
        yield from _stack(("architecture", "layers"), list(spec.architecture.layers), input_shape(spec), why)


def _no_image(spec: JobSpec) -> str:
    """Why the input is no image."""
    if sample_image(spec.dataset) is None:
        return f"samples of the dataset {spec.dataset.kind!r} have no rows and columns; take another dataset"
    return f"the input is shown in {spec.encoding.frames} frames; show the images whole, with encoding.frames 1"


def _stack(place: Location, layers: list[SequentialLayer], before: Shape, why: str | None) -> Broken:
    """`why` there is no image before a layer, where there is none. What stands behind a layer that is refused is not
    examined."""
    for i, layer in enumerate(layers):
        here: Location = (*place, i)
        problems = list(_layer(here, layer, before, why))
        yield from problems
        if problems:
            return
        after = shape_after(layer, before)
        if before.image and not after.image:
            why = f"the layer {layer.kind!r} before it mixes all pixels; put it before that one"
        before = after


def _layer(place: Location, layer: SequentialLayer, before: Shape, why: str | None) -> Broken:
    height, width, _ = before.image or (0, 0, 0)
    match layer:
        case Residual():
            yield from _residual(place, layer, before, why)
        case Conv2d() | AveragePool() if before.image is None:
            yield (*place, "kind"), f"{layer.kind!r} acts on an image, and {why}"
        case Conv2d():
            yield from _convolution(place, layer, height, width)
        case AveragePool():
            if height % layer.size or width % layer.size:
                yield (*place, "size"), f"the image has {height} x {width} pixels here, which make no blocks of so many"


def _convolution(place: Location, layer: Conv2d, height: int, width: int) -> Broken:
    if layer.padding == "same" and layer.kernel % 2 == 0:
        yield (*place, "padding"), "'same' needs an odd kernel; say how many pixels of zeros to put around the image"
    if layer.border >= layer.kernel:
        yield (*place, "padding"), f"must be less than the kernel, {layer.kernel}: units would see zeros alone"
    if min(height, width) + 2 * layer.border < layer.kernel:
        around = f" with {layer.border} of zeros around it" if layer.border else ""
        yield (*place, "kernel"), f"must not exceed the image, which has {height} x {width} pixels here{around}"


def _residual(place: Location, layer: Residual, before: Shape, why: str | None) -> Broken:
    problems = [
        *_stack((*place, "layers"), list(layer.layers), before, why),
        *_stack((*place, "shortcut"), list(layer.shortcut), before, why),
    ]
    yield from problems
    if problems:
        return
    ends = [before, before]
    for k, stack in enumerate((layer.layers, layer.shortcut)):
        for inner in stack:
            ends[k] = shape_after(inner, ends[k])
    if ends[0] != ends[1]:
        yield (
            (*place, "shortcut"),
            f"comes to {_said(ends[1])}, and the layers beside it to {_said(ends[0])}: what is added has one shape",
        )


def _said(shape: Shape) -> str:
    if shape.image is None:
        return f"{shape.n} numbers"
    height, width, channels = shape.image
    return f"{height} x {width} pixels of {channels} channels"
