"""Neurons: which are needed, and their parameters."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from snncore.spec.architecture import Recurrent
from snncore.spec.dataset import image_shape, n_features
from snncore.spec.errors import Location
from snncore.spec.neuron import ALIF, LIF, SHARED_IN_A_LAYER, LayerLIF, LIFUnit, Mixed, Neuron, Range, Smoothing
from snncore.spec.readout import SpikeCountReadout
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import LSTM, Conv2d, Dense, Sequential, Spiking, placed_parts

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def _named_neurons(spec: JobSpec) -> list[tuple[Location, Neuron]]:
    """The neurons that the spec names, with their places."""
    neurons: list[tuple[Location, Neuron]] = [] if spec.neuron is None else [(("neuron",), spec.population)]
    if isinstance(spec.architecture, Sequential):
        for place, layer in placed_parts(spec.architecture):
            if isinstance(layer, Spiking) and layer.neuron is not None:
                neurons.append(((*place, "neuron"), layer.neuron))
    return neurons


def neurons(spec: JobSpec) -> Broken:
    shared = True
    if isinstance(spec.architecture, Sequential):
        layers = [layer for _, layer in placed_parts(spec.architecture) if isinstance(layer, Spiking)]
        counted = isinstance(spec.architecture.readout, SpikeCountReadout)
        shared = counted or any(layer.neuron is None for layer in layers)
    if shared and spec.neuron is None:
        yield ("neuron",), "is missing: the neurons of spiking layers that have none of their own are of this kind"
    elif spec.neuron is not None and not shared:
        yield ("neuron",), "has no effect: every spiking layer has a neuron of its own, or there is none; leave it out"
    for loc, neuron in _named_neurons(spec):
        if isinstance(neuron, LIFUnit):
            yield from _unit(spec, loc, neuron)
        elif not isinstance(neuron, LayerLIF):
            yield from _members(loc, neuron)


def _unit(spec: JobSpec, loc: Location, unit: LIFUnit) -> Broken:
    for name, lowest, highest in (("w_input", -inf, inf), ("w_leak", 0.0, 1.0)):
        value = getattr(unit, name)
        low, high = (value.low, value.high) if isinstance(value, Range) else (value, value)
        if low > high:
            yield (*loc, name, "high"), f"must not be below low = {low:g}"
        if low < lowest or high > highest:
            yield (*loc, name), f"must lie between {lowest:g} and {highest:g}: it is the share that leaks in a step"
        if name == "w_input" and low == high == 0:
            yield (*loc, name), "must not be 0: no input would reach the unit, and no gradient its weight"
    if unit.sharing == "channel" and image_shape(spec.dataset) is None:
        yield (*loc, "sharing"), f"'channel' needs a dataset of images, and {spec.dataset.kind!r} is none"
    elif unit.sharing == "channel" and not _sees_the_image(spec):
        yield (
            (*loc, "sharing"),
            "'channel' needs an architecture 'sequential' with no dense layer, convolution or LSTM before the unit: "
            "mixed channels are none",
        )
    elif unit.sharing == "channel" and (n_shown := n_features(spec.dataset) // spec.encoding.frames) % _channels(spec):
        yield (
            (*loc, "sharing"),
            f"'channel' needs frames that hold all channels of each of their pixels, and those of {n_shown} features "
            "do not; scan the image by columns or rows",
        )


def _channels(spec: JobSpec) -> int:
    shape = image_shape(spec.dataset)
    return shape[2] if shape else 1


def _sees_the_image(spec: JobSpec) -> bool:
    """Whether the spiking layers that share the weights of a channel come before everything that mixes channels."""
    if not isinstance(spec.architecture, Sequential) or isinstance(spec.architecture.readout, SpikeCountReadout):
        return False
    mixed = False
    for _, layer in placed_parts(spec.architecture):
        neuron = (layer.neuron or spec.neuron) if isinstance(layer, Spiking) else None
        if mixed and isinstance(neuron, LIFUnit) and neuron.sharing == "channel":
            return False
        mixed = mixed or isinstance(layer, Dense | Conv2d | LSTM)
    return True


def _members_of(loc: Location, neuron: LIF | ALIF | Mixed) -> list[tuple[Location, LIF | ALIF]]:
    """A neuron, or the populations of a mixed layer, with their places."""
    if not isinstance(neuron, Mixed):
        return [(loc, neuron)]
    return [((*loc, "populations", i, "neuron"), p.neuron) for i, p in enumerate(neuron.populations)]


def _members(loc: Location, neuron: LIF | ALIF | Mixed) -> Broken:
    members = _members_of(loc, neuron)
    first = members[0][1]
    for place, member in members[1:]:
        for field in SHARED_IN_A_LAYER:
            if getattr(member, field) != getattr(first, field):
                yield (*place, field), "must be the same in all populations of a mixed layer"
    for place, member in members:
        if member.reset != "value" and member.v_reset != 0:
            yield (*place, "v_reset"), f"has no effect with reset {member.reset!r}; leave it out or take reset 'value'"
        if member.v_reset >= member.v_threshold:
            yield (*place, "v_reset"), "must lie below v_threshold"


def smoothing(spec: JobSpec) -> Broken:
    neurons = _named_neurons(spec)
    if isinstance(spec.architecture, Recurrent) and spec.architecture.embedded is not None:
        neurons.append((("architecture", "embedded", "network", "neuron"), spec.architecture.embedded.network.neuron))
    for loc, neuron in neurons:
        if isinstance(neuron, LIFUnit):
            yield from _smooth(spec, loc, neuron, ["surrogate"])
        if isinstance(neuron, LIFUnit | LayerLIF):
            continue
        for place, member in _members_of(loc, neuron):
            yield from _smooth(spec, place, member, ["fires_at", "surrogate", "surrogate_scaling"])
            if member.smoothing is None:
                continue
            if member.n_refractory > 0:
                yield (*place, "n_refractory"), "must be 0 with smoothing: smooth spikes leave nothing to wait after"
            if member.detach_reset:
                yield (
                    (*place, "detach_reset"),
                    "must be false with smoothing, whose gradient is that of the forward pass",
                )
            if member.reset == "none" and member.smoothing.reset_width != Smoothing().reset_width:
                yield (*place, "smoothing", "reset_width"), "has no effect with reset 'none'; leave it out"


def _smooth(spec: JobSpec, loc: Location, neuron: LIF | ALIF | LIFUnit, useless: list[str]) -> Broken:
    if neuron.smoothing is None:
        return
    if spec.bptt.engine != "reference":
        yield (*loc, "smoothing"), "the compiled engines have hard spikes only; take training.engine 'reference'"
    for field in useless:
        if getattr(neuron, field) != type(neuron).model_fields[field].default:
            yield (*loc, field), "has no effect with smoothing; leave it out"
