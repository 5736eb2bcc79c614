"""The competitive network and its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.competitive import Competitive, ConductanceLIF, OriginalCircuit
from snncore.spec.dataset import holds_events, n_classes, n_features, split_sizes
from snncore.spec.encoding import Poisson
from snncore.spec.errors import Location
from snncore.spec.rules.broken import Broken
from snncore.spec.stdp import STDP
from snncore.spec.task import Classification

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

LONGEST_DELAY_STEPS = 1_000


def _parts(spec: JobSpec) -> tuple[Competitive, STDP, ConductanceLIF]:
    architecture, training, neuron = spec.architecture, spec.training, spec.neuron
    assert isinstance(architecture, Competitive)
    assert isinstance(training, STDP)
    assert isinstance(neuron, ConductanceLIF)
    return architecture, training, neuron


def data(spec: JobSpec) -> Broken:
    if spec.task != Classification(kind="classification"):
        yield (
            ("task",),
            "must be {'kind': 'classification'}: what STDP learns depends on no target, and classes are given to "
            "neurons afterwards",
        )
    elif n_classes(spec.dataset) is None or holds_events(spec.dataset):
        yield ("dataset", "kind"), f"must hold features and classes, and {spec.dataset.kind!r} does not"
    if not isinstance(spec.encoding, Poisson):
        yield ("encoding", "kind"), "must be 'poisson': the architecture 'competitive' takes rates"
        return
    if spec.encoding.frames > 1:
        yield ("encoding", "frames"), "must be 1: a sample is shown as a whole"
    if spec.encoding.group_size > 1:
        yield ("encoding", "group_size"), "must be 1: each feature is one input neuron"
    if spec.encoding.feature_sum is not None:
        yield (
            ("encoding", "feature_sum"),
            "has no effect: the architecture 'competitive' raises the rates until it answers; leave it out",
        )
    if spec.device.startswith("cuda"):
        yield ("device",), "must be 'auto' or 'cpu': the architecture 'competitive' is simulated on the CPU"


def circuit(spec: JobSpec) -> Broken:
    architecture, training, neuron = _parts(spec)
    circuit, dt = architecture.circuit, spec.encoding.dt_ms
    loc = ("architecture", "circuit")
    for field in ("longest_delay_ms", "rest_ms"):
        steps = (getattr(circuit, field) or 0) / dt
        if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
            yield (*loc, field), f"must be a whole number of time steps, encoding.dt_ms = {dt:g}"
    if circuit.longest_delay_ms / dt > LONGEST_DELAY_STEPS:
        yield (*loc, "longest_delay_ms"), f"must not exceed {LONGEST_DELAY_STEPS} time steps of {dt:g} ms"
    if circuit.rest_ms is not None and circuit.rest_ms < circuit.longest_delay_ms:
        yield (
            (*loc, "rest_ms"),
            f"must last until the last spikes have arrived, longest_delay_ms = {circuit.longest_delay_ms:g}",
        )
    if circuit.rest_ms is not None and training.batch_size > 1:
        yield (
            ("training", "batch_size"),
            "must be 1 where a sample begins in the state that the one before has left; take circuit.rest_ms = null",
        )
    cells: list[tuple[Location, float, float]] = [
        (("neuron",), neuron.v_reset_mv, neuron.v_threshold_mv + neuron.theta_initial_mv)
    ]
    if isinstance(circuit, OriginalCircuit):
        cells.append(((*loc, "inhibitory"), circuit.inhibitory.v_reset_mv, circuit.inhibitory.v_threshold_mv))
    for place, reset, threshold in cells:
        if reset >= threshold:
            yield (*place, "v_reset_mv"), f"must lie below the threshold, {threshold:g} mV at the begin"


def learning(spec: JobSpec) -> Broken:
    _, training, _ = _parts(spec)
    sizes = split_sizes(spec.dataset)
    if 1 <= sizes["train"] < training.batch_size:
        yield ("training", "batch_size"), f"must not exceed the {sizes['train']} training samples"
    if training.final_weights == "best" and sizes["validation"] == 0:
        yield (
            ("training", "final_weights"),
            "the best weights are chosen on a validation split, and the dataset has none; give it one or take 'last'",
        )
    wanted = training.labelling.n_samples
    if wanted is not None and wanted > sizes["train"]:
        yield ("training", "labelling", "n_samples"), f"must not exceed the {sizes['train']} training samples"
    if training.evaluate_every is not None and training.evaluate_every % training.batch_size:
        yield ("training", "evaluate_every"), f"must be a multiple of batch_size = {training.batch_size}"
    most = n_features(spec.dataset) * training.w_max
    if training.weight_total is not None and training.weight_total > most:
        yield (
            ("training", "weight_total"),
            f"cannot be reached: {n_features(spec.dataset)} weights of w_max = {training.w_max:g} sum up to {most:g}",
        )
