"""What a finished run says of itself. Rates, spikes and operations are those of the test split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncore import spec
from snncore.cost import energy
from snncore.networks import AnyNetwork
from snncore.training.environment import peak_memory_bytes
from snncore.training.evaluation import Evaluation
from snncore.training.tally import Tally


def split_metrics(
    train: Mapping[str, float], validation: Evaluation | None, test: Evaluation
) -> dict[str, dict[str, float]]:
    """Metrics by split: of training over its last epoch, of the others with the chosen weights."""
    evaluated = {"validation": validation, "test": test}
    return {"train": dict(train)} | {
        split: of_tally(evaluation.tally) for split, evaluation in evaluated.items() if evaluation is not None
    }


def of_tally(tally: Tally) -> dict[str, float]:
    """The metrics of a split. `ceiling_accuracy` is what an ideal observer of the same spikes would get."""
    known = {"true_label_probability": tally.true_label_probability, "ceiling_accuracy": tally.ceiling}
    return {"loss": tally.loss, "accuracy": tally.accuracy} | {
        name: value for name, value in known.items() if value is not None
    }


def confusion_matrix(job: spec.JobSpec, test: Evaluation) -> list[list[int]] | None:
    """Counts with a row for each class and a column for each answer; None for tasks without classes."""
    return test.confusion(job.n_outputs) if isinstance(job.task, spec.Classification | spec.Recall) else None


def firing(job: spec.JobSpec, test: Evaluation) -> dict[str, dict[str, float]]:
    """Mean rate and the share of neurons that never fired, for each spiking layer."""
    tally = test.tally
    return {
        layer: {
            "rate_hz": tally.rate_hz(layer, job.encoding.duration_ms),
            "silent_share": tally.silent_share(layer),
        }
        for layer in tally.layers()
        if layer != "input"
    }


def cost(job: spec.JobSpec, network: AnyNetwork, test: Evaluation, trained: int, wall_time_s: float) -> dict[str, Any]:
    """Time and memory of the run, in which so many samples were `trained` on; spikes a sample, the synapses that they
    went through, and what that takes."""
    spikes = {layer: test.tally.spikes_a_sample(layer) for layer in test.tally.layers()}
    arithmetic = energy(network.links(), spikes, job.recording.energy, job.encoding.frames)
    return {
        "wall_time_s": wall_time_s,
        "samples_per_s": trained / max(wall_time_s, 1e-9),
        "spikes_per_sample": spikes,
        "synaptic_operations_per_sample": arithmetic["accumulates_per_sample"],
        **arithmetic,
        "peak_memory_bytes": peak_memory_bytes(next(network.parameters()).device),
    }
