"""What a finished run of decision pools says of itself. Rates, spikes and operations are those of the test split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from snncore import spec
from snncore.cost import Link, energy
from snncore.events import Split
from snncore.plasticity import reaction_times
from snncore.plasticity.decisions import Decisions
from snncore.plasticity.showing import LAYER
from snncore.training.environment import peak_memory_bytes

OFTEN_MISSED = 0.5


def warnings_about_learning(decisions: Decisions) -> list[str]:
    """What the first epoch leaves to be said."""
    silent = ", ".join(str(pool) for pool in np.flatnonzero(decisions.pool_spikes == 0))
    if not silent:
        return []
    return [
        f"the pools of the classes {silent} fired no spike after the first epoch, and can give no answer; raise "
        "training.learning_rate, architecture.neuron.input_gain or the number of training samples"
    ]


def warnings_about_decisions(decisions: Decisions) -> list[str]:
    """What the test leaves to be said."""
    if (answered := float(decisions.answered.mean())) >= OFTEN_MISSED:
        return []
    return [
        f"the accumulators came to the bound for {answered:.0%} of the test samples only; lower "
        "architecture.decision.bound, or raise its duration_ms"
    ]


def result(
    job: spec.JobSpec, decided: Mapping[Split, Decisions], *, wall_time_s: float, n_learned: int
) -> dict[str, Any]:
    """Of the splits `decided`, by the weights that were chosen."""
    test = decided["test"]
    silent = float((test.neuron_spikes == 0).mean())
    return {
        "metrics": {split: decisions.metrics() for split, decisions in decided.items()},
        "confusion_matrix": test.confusion(job.n_outputs),
        "decisions": reaction_times.report(job, decided),
        "firing": {LAYER: {"rate_hz": rate_hz(job, test), "silent_share": silent}},
        "cost": cost(job, test, wall_time_s=wall_time_s, n_learned=n_learned),
    }


def rate_hz(job: spec.JobSpec, decisions: Decisions) -> float:
    """Mean rate of the neurons of the pools while it is decided."""
    assert isinstance(job.architecture, spec.DecisionPools)
    seconds = job.architecture.decision.duration_ms / 1000
    return float(decisions.neuron_spikes.mean()) / len(decisions.labels) / seconds


def cost(job: spec.JobSpec, test: Decisions, *, wall_time_s: float, n_learned: int) -> dict[str, Any]:
    """Time and memory of the run; spikes a test sample, and the synapses that they went through, in the whole
    presentation. The accumulators are no neurons: what arrives there does not count."""
    n, n_neurons = len(test.labels), len(test.neuron_spikes)
    spikes = {"input": test.input_spikes / n, LAYER: int(test.neuron_spikes.sum()) / n}
    link = Link(LAYER, spec.n_inputs(job) * n_neurons, frozenset({"input"}), fan_out=n_neurons)
    arithmetic = energy([link], spikes, job.recording.energy)
    return {
        "wall_time_s": wall_time_s,
        "samples_per_s": n_learned / max(wall_time_s, 1e-9),
        "spikes_per_sample": spikes,
        "synaptic_operations_per_sample": arithmetic["accumulates_per_sample"],
        **arithmetic,
        "peak_memory_bytes": peak_memory_bytes(torch.device("cpu")),
    }
