"""The training: batches, splits, rewiring, engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import (
    split_sizes,
)
from snncore.spec.descent import CosineDecay, PlateauDecay
from snncore.spec.errors import Location
from snncore.spec.matrices import most_synapses, rewired_matrices, weight_matrices
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import Sequential, Spiking, placed_parts
from snncore.spec.task import has_class_probabilities
from snncore.spec.training import CheckpointedBackward

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def training(spec: JobSpec) -> Broken:
    sizes, training = split_sizes(spec.dataset), spec.bptt
    if 1 <= sizes["train"] < training.batch_size:
        yield ("training", "batch_size"), f"must not exceed the {sizes['train']} training samples"
    if training.seed_protocol and sizes["validation"] > 0:
        yield (
            ("training", "seed_protocol"),
            "puts the test split in the place of the validation split; give the dataset no validation samples",
        )
    unvalidated = sizes["validation"] == 0 and not training.seed_protocol
    if training.final_weights == "best" and unvalidated:
        yield (
            ("training", "final_weights"),
            "the best weights are chosen on a validation split, and the dataset has none; give it one or take 'last'",
        )
    if training.early_stopping is not None and unvalidated:
        yield ("training", "early_stopping"), "watches a validation split, and the dataset has none; give it one"
    if isinstance(training.schedule, PlateauDecay) and training.schedule.split == "validation" and unvalidated:
        yield ("training", "schedule", "split"), "must be 'train': the dataset has no validation split"
    if training.selection == "true_label_probability" and not has_class_probabilities(spec.task):
        yield (
            ("training", "selection"),
            "needs a task that names classes, with the loss 'cross_entropy', 'mse' or 'straight_through'",
        )
    if training.rate_regulariser is not None and not _has_hidden_spikes(spec):
        yield ("training", "rate_regulariser"), "has no effect: no layer of the architecture is 'spiking'"
    if isinstance(training.schedule, CosineDecay) and training.schedule.warmup_steps >= spec.n_training_steps:
        yield (
            ("training", "schedule", "warmup_steps"),
            f"must be fewer than the {spec.n_training_steps} steps of the training",
        )


def _has_hidden_spikes(spec: JobSpec) -> bool:
    architecture = spec.architecture
    if not isinstance(architecture, Sequential):
        return True
    return any(isinstance(layer, Spiking) for _, layer in placed_parts(architecture))


def rewiring(spec: JobSpec) -> Broken:
    loc, rewiring = ("training", "rewiring"), spec.bptt.rewiring
    if rewiring is None:
        return
    known = [matrix.name for matrix in weight_matrices(spec)]
    named: dict[Location, str] = {(*loc, "matrices", i): name for i, name in enumerate(rewiring.matrices or [])}
    if isinstance(rewiring.connectivity, dict):
        if named:
            yield (*loc, "matrices"), "has no effect where connectivity names the matrices; leave it out"
        named = {(*loc, "connectivity", name): name for name in rewiring.connectivity}
    for place, name in named.items():
        if name not in known:
            yield place, f"is no weight matrix of this network, which has {', '.join(map(repr, known))}"
    if len(set(named.values())) < len(named):
        yield (*loc, "matrices"), "names a matrix twice"
    if rewiring.connectivity == {}:
        yield (*loc, "connectivity"), "names no matrix"
    chosen = rewired_matrices(spec)
    for matrix, share in chosen:
        if most_synapses([(matrix, share)]) == 0:
            place = (*loc, "connectivity", *([matrix.name] if isinstance(rewiring.connectivity, dict) else []))
            yield place, f"leaves none of the {matrix.n_synapses} synapses of {matrix.name!r}"
    if rewiring.budget == "pooled" and len(chosen) == 1:
        yield (*loc, "budget"), "has no effect on one matrix; take 'per_matrix', or rewire more than one"
    if spec.bptt.optimiser.weight_decay > 0:
        yield (
            ("training", "optimiser", "weight_decay"),
            "must be 0 with rewiring, which shrinks weights by training.rewiring.l1",
        )


def engine(spec: JobSpec) -> Broken:
    if spec.bptt.engine == "reference" and isinstance(spec.bptt.backward, CheckpointedBackward):
        yield (
            ("training", "backward", "kind"),
            "the engine 'reference' keeps every step; take the engine 'auto', or the backward strategy 'full'",
        )
