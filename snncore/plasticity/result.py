"""What a finished run of a competitive network says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from snncore import spec
from snncore.cost import Link, energy
from snncore.events import Split
from snncore.plasticity import labelling
from snncore.plasticity.competition import CompetitiveNetwork
from snncore.plasticity.evaluation import Evaluation
from snncore.training.environment import peak_memory_bytes


def result(
    job: spec.JobSpec,
    network: CompetitiveNetwork,
    judged: Mapping[Split, Evaluation],
    *,
    wall_time_s: float,
    samples_per_s: float,
) -> dict[str, Any]:
    """Metrics by split, and of the test split the confusions, rates and operations."""
    test = judged["test"]
    return {
        "metrics": {
            split: {"accuracy": evaluation.accuracy, "unanswered_share": evaluation.unanswered_share}
            for split, evaluation in judged.items()
        },
        "confusion_matrix": test.confusion,
        "firing": {
            layer: {"rate_hz": rate, "silent_share": test.silent_share} for layer, rate in test.rates_hz.items()
        },
        "cost": cost(job, network, test, wall_time_s=wall_time_s, samples_per_s=samples_per_s),
        "labelling": labelling.summary(test.labels, job.n_outputs),
        "theta_mv": {
            "mean": float(network.theta.mean()),
            "p5": float(np.percentile(network.theta, 5)),
            "p95": float(np.percentile(network.theta, 95)),
        },
    }


def links(network: CompetitiveNetwork) -> list[Link]:
    """The synapses of the network, and whose spikes go through them."""
    n = network.n
    plastic = Link("excitatory", network.n_inputs * n, frozenset({"input"}), n)
    if isinstance(network.circuit, spec.OriginalCircuit):
        excitation = Link("inhibitory", n, frozenset({"excitatory"}), 1)
        return [plastic, excitation, Link("excitatory", n * (n - 1), frozenset({"inhibitory"}), n - 1)]
    return [plastic, Link("excitatory", n * (n - 1), frozenset({"excitatory"}), n - 1)]


def cost(
    job: spec.JobSpec, network: CompetitiveNetwork, test: Evaluation, *, wall_time_s: float, samples_per_s: float
) -> dict[str, Any]:
    """Time and memory of the run; of a test sample the spikes, the synapses that they went through, and the energy."""
    estimated = energy(links(network), test.spikes_per_sample, job.recording.energy)
    return {
        "wall_time_s": wall_time_s,
        "samples_per_s": samples_per_s,
        "spikes_per_sample": test.spikes_per_sample,
        "synaptic_operations_per_sample": estimated["accumulates_per_sample"],
        **estimated,
        "peak_memory_bytes": peak_memory_bytes(torch.device("cpu")),
    }
