"""What a job will cost, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snncore.spec.architecture import Recurrent
from snncore.spec.competitive import Competitive
from snncore.spec.dataset import held_in_memory, n_features, split_sizes
from snncore.spec.diet import Diet
from snncore.spec.encoding import Poisson
from snncore.spec.layer_shapes import (
    NUMBERS_A_DENSE_UNIT,
    LayerShape,
    further_weights,
    sequential_shape,
    trained_weights,
)
from snncore.spec.neuron import ALIF, LayerLIF, LIFUnit, split_layer
from snncore.spec.pools import DecisionPools, TeacherSTDP
from snncore.spec.readout import LeakyReadout, SpikeCountReadout
from snncore.spec.sequential import (
    Sequential,
)
from snncore.spec.shapes import n_inputs, placed_layers
from snncore.spec.stdp import GROUPS, STDP
from snncore.spec.training import CheckpointedBackward, TruncatedBackward
from snncore.spec.twin import ann_twin, spiking_part

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

FLOATS_A_CELL_STEP = 5
"""What the reference loop holds for one neuron, sample and time step, between 4.2 and 6.2 by the kind of reset:
potentials, spikes and products that autograd keeps. Held to measured memory by `tests/snncore/test_spec.py`, as are the
others."""
FLOATS_OF_ADAPTATION = 3
FLOATS_A_FURTHER_WEIGHT = 5.25  # the weights of one more delay, where they are, by sender and receiver, their gradient
FLOATS_A_PARAMETER = 5  # weight, gradient, two moments of Adam, the best weights so far

BATCHES_AT_ONCE = 2  # the one in use and the next, where samples are read batch by batch

FUSED_FLOATS_A_WEIGHT = 4  # the weights by sender and by receiver, a tile of them, their gradient before it is cut out
FUSED_FLOATS_A_CELL = 10  # states, adjoints, sums and their gradients: for a neuron and a sample, whatever the time
FUSED_MARK_STEPS = 32  # adaptation and refractory counters are kept at every so many steps
FUSED_PADDING = 16
FUSED_DENSE_COPIES = 1  # spikes as numbers, and then their gradient, where what is read is more than one sum over time


@dataclass(frozen=True, slots=True)
class Estimate:
    """`steps` are optimiser updates; memory is what the tensors of the training hold at most.

    What the process takes from the system can be two to three times as much, depending on its allocator.
    """

    parameters: int
    steps: int
    peak_memory_bytes: int
    flops: int


def _competitive_shape(spec: JobSpec, architecture: Competitive) -> LayerShape:
    """Plastic synapses and thresholds; the inhibition of all by all is counted with the synapses."""
    n, width = architecture.n_neurons, n_inputs(spec)
    return LayerShape(n, width * n + n * (n - 1), width * n + n, None)


def layer_shapes(spec: JobSpec) -> list[LayerShape]:
    """The layers of the network in order."""
    if isinstance(spec.architecture, Competitive):
        return [_competitive_shape(spec, spec.architecture)]
    if isinstance(spec.architecture, DecisionPools):
        n, width = spec.n_outputs * spec.architecture.pool_size, n_inputs(spec)
        return [LayerShape(n, width * n, width * n, None)]
    architecture, readout = spec.layered, spec.layered.readout
    group = readout.group_size if isinstance(readout, SpikeCountReadout) else 1
    n_out = spec.n_outputs * group
    width = n_inputs(spec)
    shapes = []
    if isinstance(architecture, Recurrent):
        embedded = architecture.embedded
        inside = isinstance(readout, SpikeCountReadout) and readout.recurrent
        n = architecture.n_hidden + (n_out if inside and embedded is None else 0)
        recurrent = n * n - (0 if architecture.recurrence.autapses else n)
        further = further_weights(architecture.input.delay, width * n) + further_weights(
            architecture.recurrence.delay, n * n
        )
        trained = width * n + recurrent + trained_weights(spec.population, n, spec)
        shapes.append(LayerShape(n, width * n + n * n, trained, spec.population, further))
        width = n
        if embedded is not None:
            inner = embedded.network
            before, n = inner.n_inputs, inner.n_hidden + n_out
            further = further_weights(embedded.connection.delay, width * before)
            shapes.append(LayerShape(before, width * before, width * before, inner.neuron, further))
            further = further_weights(inner.input.delay, before * n) + further_weights(inner.recurrence.delay, n * n)
            shapes.append(LayerShape(n, before * n + n * n, 0, inner.neuron, further))
        if inside:
            return shapes
    elif isinstance(architecture, Sequential):
        shapes += [sequential_shape(spec, part) for part in placed_layers(spec)]
        width = shapes[-1].n_neurons
        if isinstance(readout, SpikeCountReadout):
            return shapes
    else:
        for n in architecture.layers:
            further = further_weights(architecture.connection.delay, width * n)
            trained = width * n + trained_weights(spec.population, n, spec)
            shapes.append(LayerShape(n, width * n, trained, spec.population, further))
            width = n
    if isinstance(readout, SpikeCountReadout):
        trained = width * n_out + trained_weights(spec.population, n_out, spec)
        shapes.append(LayerShape(n_out, width * n_out, trained, spec.population))
    else:
        bias = n_out if readout.bias else 0
        numbers = 0 if isinstance(readout, LeakyReadout) else round(NUMBERS_A_DENSE_UNIT * n_out)
        shapes.append(LayerShape(n_out, width * n_out, width * n_out + bias, None, numbers_a_step=numbers))
    return shapes


FLOPS_A_CONDUCTANCE_STEP = 50  # most of them for the exponential
FLOPS_A_POOL_STEP = 6
BRIGHTNESS = 0.25
"""The mean of features as far as an estimate needs one: holds for digits within a factor of two."""


REFERENCE_STEP_WORTH_A_THREAD = 10_000_000
FUSED_BATCH_WORTH_A_THREAD = 2_500_000_000


def useful_threads(spec: JobSpec, available: int) -> int:
    """How many of `available` threads a job gains from, 1 at least, by the multiplications of a dense product.

    Decision pools and competitive networks that learn sample by sample have one thread to use, and competitive ones
    that learn by batches up to one for each group of samples. The fused engine meets its threads a few times a batch;
    a second one pays from some billions a batch on, as long as the next batch is encoded beside. The reference loop
    does a few small products a time step, with a barrier after each; a second thread pays from some ten million a step
    on. The number follows from the spec, so that a resumed job gets the same one.
    """
    if isinstance(spec.training, Diet):
        return useful_threads(spiking_part(spec), available)
    if isinstance(spec.training, STDP):
        return min(available, GROUPS) if spec.training.batch_size > 1 else 1
    if isinstance(spec.training, TeacherSTDP):
        return 1
    a_step = spec.training.batch_size * sum(shape.synapses for shape in layer_shapes(spec))
    if spec.bptt.engine == "reference":
        return max(1, min(available, a_step // REFERENCE_STEP_WORTH_A_THREAD))
    return max(1, min(available, a_step * spec.encoding.n_steps // FUSED_BATCH_WORTH_A_THREAD))


def fused_bytes(spec: JobSpec, shapes: list[LayerShape], bytes_a_float: int) -> int:
    """What the fused engine holds between forward and backward: a tape and bits for each spiking layer (see
    `snncore.engines.cpu.engine`), the input, and the state at the borders of its chunks."""
    n_time, batch, backward = spec.encoding.n_steps, spec.training.batch_size, spec.bptt.backward
    chunk = n_time
    if isinstance(backward, CheckpointedBackward):
        chunk = min(n_time, backward.every_steps)
    elif isinstance(backward, TruncatedBackward):
        chunk = min(n_time, backward.window_steps)
    n_chunks = -(-n_time // chunk)

    def bits(n: int) -> int:
        return n_time * batch * -(-n // 64) * 8

    if spec.encoding.makes_spikes:
        total = 2 * bits(n_inputs(spec))
    else:
        total = batch * n_inputs(spec) * bytes_a_float * (1 if spec.encoding.frames == 1 else n_time)
    if spec.layered.readout.by_frame:
        total += FUSED_DENSE_COPIES * n_time * batch * shapes[-1 if shapes[-1].neuron else -2].n_neurons * bytes_a_float
    for shape in shapes:
        total += FUSED_FLOATS_A_WEIGHT * shape.weights * bytes_a_float
        total += n_time * batch * shape.numbers_a_step * bytes_a_float
        if shape.neuron is None:
            continue
        members = (
            [] if isinstance(shape.neuron, LIFUnit | LayerLIF) else list(split_layer(shape.neuron, shape.n_neurons))
        )
        cells = batch * -(-shape.n_neurons // FUSED_PADDING) * FUSED_PADDING
        marks = -(-chunk // FUSED_MARK_STEPS)
        adapting = any(n and isinstance(neuron, ALIF) for n, neuron in members)
        waiting = any(n and neuron.n_refractory for n, neuron in members)
        total += bits(shape.n_neurons)
        total += cells * bytes_a_float * (chunk + FUSED_FLOATS_A_CELL + marks * adapting) + cells * 4 * marks * waiting
        if n_chunks > 1:
            total += n_chunks * cells * (bytes_a_float * (1 + adapting) + 4 * waiting)
    return total


def estimate(spec: JobSpec) -> Estimate:
    """Parameters, optimiser steps, peak memory and floating point operations of a job.

    A multiply-accumulate counts as two operations; a training sample costs three forward passes.
    """
    if isinstance(spec.training, Diet):
        return _of_both(estimate(ann_twin(spec)), estimate(spiking_part(spec)))
    if isinstance(spec.architecture, Competitive):
        return _estimate_of_competitive(spec, spec.architecture)
    if isinstance(spec.architecture, DecisionPools):
        return _estimate_of_pools(spec, spec.architecture)
    shapes = layer_shapes(spec)
    sizes = split_sizes(spec.dataset)
    n_time, batch, epochs = spec.encoding.n_steps, spec.training.batch_size, spec.training.epochs
    bytes_a_float = 4 if spec.training.precision == "float32" else 8
    parameters = sum(shape.parameters for shape in shapes)

    def floats(shape: LayerShape) -> int:
        if shape.neuron is None:
            return shape.numbers_a_step or 3 * shape.n_neurons
        if isinstance(shape.neuron, LIFUnit | LayerLIF):
            return FLOATS_A_CELL_STEP * shape.n_neurons
        adapting = sum(n for n, neuron in split_layer(shape.neuron, shape.n_neurons) if isinstance(neuron, ALIF))
        return FLOATS_A_CELL_STEP * shape.n_neurons + (FLOATS_OF_ADAPTATION * shape.n_neurons if adapting else 0)

    if spec.bptt.engine == "reference":
        activations = n_time * batch * (n_inputs(spec) + sum(map(floats, shapes))) * bytes_a_float
    else:
        activations = fused_bytes(spec, shapes, bytes_a_float)
    further = round(FLOATS_A_FURTHER_WEIGHT * sum(shape.weights_of_further_delays for shape in shapes))
    samples = (sum(sizes.values()) if held_in_memory(spec.dataset) else BATCHES_AT_ONCE * batch) * (
        n_features(spec.dataset) + 1
    )
    presented = 3 * sizes["train"] * epochs + sizes["validation"] * epochs + sizes["test"]
    return Estimate(
        parameters=parameters,
        steps=spec.n_training_steps,
        peak_memory_bytes=activations + bytes_a_float * (samples + FLOATS_A_PARAMETER * parameters + further),
        flops=2 * sum(shape.synapses * (1 if shape.steady else n_time) for shape in shapes) * presented,
    )


def _of_both(twin: Estimate, spiking: Estimate) -> Estimate:
    """Of a job that trains one after the other; the conversion between is a small part."""
    memory = twin.peak_memory_bytes + spiking.peak_memory_bytes
    return Estimate(spiking.parameters, twin.steps + spiking.steps, memory, twin.flops + spiking.flops)


def _estimate_of_competitive(spec: JobSpec, architecture: Competitive) -> Estimate:
    """Of a network whose spikes are taken one by one: each drives all neurons, and every neuron moves at each step."""
    assert isinstance(spec.training, STDP)
    assert isinstance(spec.encoding, Poisson)
    sizes, training, n, width = split_sizes(spec.dataset), spec.training, architecture.n_neurons, n_inputs(spec)
    circuit, dt_ms = architecture.circuit, spec.encoding.dt_ms
    rest = round((circuit.rest_ms or 0) / dt_ms)
    input_spikes = width * spec.encoding.duration_ms / 1000 * spec.encoding.max_rate_hz * BRIGHTNESS
    flops = 2 * input_spikes * n + FLOPS_A_CONDUCTANCE_STEP * n * (spec.encoding.n_steps + rest)
    evaluations = training.epochs * (-(-sizes["train"] // (training.evaluate_every or sizes["train"])))
    evaluated = (training.labelling.n_samples or sizes["train"]) + sizes["validation"]
    presented = sizes["train"] * training.epochs + evaluations * evaluated + sizes["test"]
    bytes_a_float = 4 if training.precision == "float32" else 8
    copies = 2 + (GROUPS if training.batch_size > 1 else 0)  # the weights, the best ones, changes of each group
    delayed = width * n * (4 + bytes_a_float + 8) if circuit.longest_delay_ms else 0
    memory = copies * width * n * bytes_a_float + delayed + 4 * sum(sizes.values()) * (n_features(spec.dataset) + 1)
    counts = 4 * 2 * n * max(evaluated, sizes["test"])
    return Estimate(
        parameters=width * n + n,
        steps=spec.n_training_steps,
        peak_memory_bytes=memory + counts,
        flops=round(flops * presented),
    )


def _estimate_of_pools(spec: JobSpec, architecture: DecisionPools) -> Estimate:
    """Of pools whose spikes are taken one by one: each drives all neurons, and at each of the teacher's, and as many
    of their own, the synapses of the inputs that have spiked change."""
    training, encoding, decision = spec.training, spec.encoding, architecture.decision
    assert isinstance(training, TeacherSTDP)
    assert isinstance(encoding, Poisson)
    sizes, n, width = split_sizes(spec.dataset), spec.n_outputs * architecture.pool_size, n_inputs(spec)
    brightness = encoding.feature_sum or n_features(spec.dataset) * BRIGHTNESS
    spikes_a_step = min(width, brightness * encoding.group_size * encoding.max_rate_hz * encoding.dt_ms / 1000)
    step = (2 * spikes_a_step + FLOPS_A_POOL_STEP) * n
    taught = architecture.pool_size * training.teacher_rate_hz * encoding.dt_ms / 1000
    learning = encoding.n_steps * (step + width + 2 * 2 * taught * width * BRIGHTNESS)
    deciding = decision.duration_ms / encoding.dt_ms * step
    measured = min(sizes["train"], training.n_measured)
    decided = (training.epochs + 1) * (measured + sizes["validation"]) + sizes["test"]
    bytes_a_float = 4 if training.precision == "float32" else 8
    samples = sum(sizes.values()) if held_in_memory(spec.dataset) else training.batch_size
    return Estimate(
        parameters=width * n,
        steps=spec.n_training_steps,
        peak_memory_bytes=FLOATS_A_PARAMETER * width * n * bytes_a_float + 4 * samples * (n_features(spec.dataset) + 1),
        flops=round(sizes["train"] * training.epochs * learning + decided * deciding),
    )
