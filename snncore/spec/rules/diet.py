"""What can be trained as an ordinary network, and converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import split_sizes
from snncore.spec.diet import Diet
from snncore.spec.encoding import Direct
from snncore.spec.errors import Location
from snncore.spec.neuron import LayerLIF
from snncore.spec.readout import AccumulatorReadout
from snncore.spec.rules import training
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import (
    Conv2d,
    Dense,
    Dropout,
    Sequential,
    SequentialLayer,
    Spiking,
    placed_parts,
)
from snncore.spec.twin import ann_twin

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

CONVERTED = "dense", "conv2d", "average_pool", "dropout", "residual", "spiking"


def diet(spec: JobSpec) -> Broken:
    """Rules of the training 'diet'."""
    form, architecture = spec.training, spec.architecture
    assert isinstance(form, Diet)
    assert isinstance(architecture, Sequential)
    yield from _input_and_output(spec)
    parts = list(placed_parts(architecture))
    if not any(isinstance(layer, Spiking) for _, layer in parts):
        yield ("architecture", "layers"), "the training 'diet' needs a spiking layer: there is nothing to convert"
    for place, layer in parts:
        yield from _layer(spec, place, layer)
    if form.dropout_rate is not None and not any(isinstance(layer, Dropout) for _, layer in parts):
        yield ("training", "dropout_rate"), "has no effect: no layer of the architecture is 'dropout'"
    yield from _conversion(spec, form)
    for loc, msg in training.training(ann_twin(spec)):
        if loc[0] == "training" and loc[1] in type(form.ann).model_fields:
            yield ("training", "ann", *loc[1:]), msg


def _input_and_output(spec: JobSpec) -> Broken:
    if not isinstance(spec.encoding, Direct):
        yield ("encoding", "kind"), "the training 'diet' shows numbers to a network without spikes; take 'direct'"
    if spec.encoding.frames != 1:
        yield ("encoding", "frames"), "must be 1 with the training 'diet', whose first network has one time step"
    place, readout = ("architecture", "readout"), spec.layered.readout
    if not isinstance(readout, AccumulatorReadout):
        yield (*place, "kind"), "the training 'diet' sums up what the outputs are sent; take 'accumulator'"
        return
    if readout.bias:
        yield (*place, "bias"), _BIASED
    if readout.non_negative:
        yield (*place, "non_negative"), "must be false with the training 'diet': outputs have neither leak nor bound"


_BIASED = "must be false with the training 'diet': conversion scales what spikes carry, and no bias with it"


def _layer(spec: JobSpec, place: Location, layer: SequentialLayer) -> Broken:
    match layer:
        case Dense() | Conv2d():
            if layer.bias:
                yield (*place, "bias"), _BIASED
            if layer.activation != "linear":
                yield (
                    (*place, "activation"),
                    "must be 'linear' with the training 'diet': ReLUs come where the spiking layers are",
                )
        case Spiking():
            if layer.recurrence is not None:
                yield (*place, "recurrence"), "the training 'diet' converts no recurrent layers; leave it out"
            own, neuron = layer.neuron, layer.neuron or spec.neuron
            where = ("neuron",) if own is None else (*place, "neuron")
            if neuron is not None and not isinstance(neuron, LayerLIF):
                yield (*where, "kind"), "the training 'diet' sets one leak and threshold a layer; take 'layer_lif'"
            if isinstance(neuron, LayerLIF):
                for field, why in (("leak", "begins with 1"), ("v_threshold", "comes from the conversion")):
                    if getattr(neuron, field) != LayerLIF.model_fields[field].default:
                        yield (*where, field), f"has no effect with the training 'diet', where it {why}; leave it out"
        case _ if layer.kind not in CONVERTED:
            yield (
                (*place, "kind"),
                f"the training 'diet' converts no {layer.kind!r}; take {', '.join(map(repr, CONVERTED))}",
            )


def _conversion(spec: JobSpec, form: Diet) -> Broken:
    place, conversion, sizes = ("training", "conversion"), form.conversion, split_sizes(spec.dataset)
    if conversion.n_samples > sizes["train"]:
        yield (*place, "n_samples"), f"must not exceed the {sizes['train']} training samples"
    seen = {(spec.encoding.n_steps, conversion.scaling_factor)}
    for i, compared in enumerate(conversion.compared):
        way = compared.steps, compared.scaling_factor
        if way in seen:
            yield (*place, "compared", i), "is tested already: take other steps or another scaling factor"
        seen.add(way)
        if compared.n_samples is not None and compared.n_samples > sizes["test"]:
            yield (*place, "compared", i, "n_samples"), f"must not exceed the {sizes['test']} test samples"
