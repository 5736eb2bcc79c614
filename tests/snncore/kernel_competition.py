"""The cases of `competition_cases` in `snncore.plasticity`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.plasticity.competition import CompetitiveNetwork
from snncore.spec import parse_job_spec
from tests.snncore.competition_cases import Case, Outcome, Population, Rule

SAMPLES: dict[str, Any] = {
    "sha256": "0" * 64,
    "n_samples": 10,
    "values": "float",
    "low": 0.0,
    "high": 1.0,
    "n_classes": 2,
}


def simulate(case: Case, dt_ms: float, precision: Literal["float32", "float64"] = "float64") -> Outcome:
    """The case in steps of `dt_ms`, by the kernel."""
    network = CompetitiveNetwork(_job(case, dt_ms, precision))
    network.weights[:, : network.n] = case.weights
    network.theta[:] = case.theta
    if network.network.n_delays:
        _set_delays(network, np.rint(case.delays_ms / dt_ms).astype(np.int64))
    spikes = np.zeros((round(case.duration_ms / dt_ms), network.n_inputs), np.bool_)
    steps = np.rint(case.times_ms / dt_ms).astype(np.int64)
    shown = steps < len(spikes)
    spikes[steps[shown], case.sources[shown]] = True
    answer = network.present(spikes, learning=case.rule is not None)
    learned = network.learned()
    return Outcome(
        dt_ms,
        answer.raster,
        answer.raster_inhibitory,
        *answer.traces,
        weights=learned["weights"].astype(np.float64),
        theta=learned["theta"],
    )


def _set_delays(network: CompetitiveNetwork, delays: NDArray[np.int64]) -> None:
    """Put these in the place of those that were drawn, as the kernel takes them (`competition.h`)."""
    starts, targets = network.kept[:2]
    for delay in range(network.network.n_delays + 1):
        starts[:, delay] = (delays < delay).sum(axis=1)
    targets[:] = np.argsort(delays, axis=1, kind="stable")


def _job(case: Case, dt_ms: float, precision: str) -> spec.JobSpec:
    n_inputs, n = case.weights.shape
    circuit: dict[str, Any] = {"longest_delay_ms": float(case.delays_ms.max()), "rest_ms": None, "retry": None}
    if case.inh is None:
        circuit |= {"fidelity": "fast", "w_inhibition": case.w_inh_exc, "one_spike": case.one_spike}
    else:
        cells = _cells(case.inh) | {"v_threshold_mv": case.inh.v_threshold}
        circuit |= {"fidelity": "original", "inhibitory": cells}
        circuit |= {"w_exc_inh": case.w_exc_inh, "w_inh_exc": case.w_inh_exc}
    neuron = {
        "kind": "conductance_lif",
        "v_threshold_mv": case.exc.v_threshold,
        "theta_initial_mv": 20.0,
        "theta_step_mv": case.theta_plus,
        "tau_theta_ms": case.tau_theta_ms,
    }
    return parse_job_spec(
        {
            "task": {"kind": "classification"},
            "dataset": {
                "kind": "uploaded",
                "name": "case",
                "contents": SAMPLES | {"format": "arrays", "shape": [n_inputs]},
            },
            "encoding": {"kind": "poisson", "duration_ms": case.duration_ms, "dt_ms": dt_ms},
            "architecture": {"kind": "competitive", "n_neurons": n, "circuit": circuit},
            "neuron": neuron | _cells(case.exc),
            "training": {
                "kind": "stdp",
                "epochs": 1,
                "weight_total": None,
                "rule": {"kind": "pair"} if case.rule is None else _rule(case.rule),
                "precision": precision,
            },
        }
    )


def _cells(population: Population) -> dict[str, float]:
    return {
        "tau_mem_ms": population.tau_ms,
        "v_rest_mv": population.v_rest,
        "v_reset_mv": population.v_reset,
        "refractory_ms": population.refractory_ms,
        "e_exc_mv": population.e_exc,
        "e_inh_mv": population.e_inh,
        "tau_exc_ms": population.tau_exc_ms,
        "tau_inh_ms": population.tau_inh_ms,
    }


FIELDS = {
    "eta_pre": ("learning_rate_pre", ("triplet", "pair", "symmetric")),
    "eta_post": ("learning_rate", ("triplet", "pair", "power", "exponential", "symmetric", "rectangular")),
    "x_tar": ("x_target", ("power", "exponential", "symmetric")),
    "mu": ("exponent", ("power", "symmetric")),
    "beta": ("beta", ("exponential", "rectangular")),
    "alpha_minus": ("depression", ("rectangular",)),
    "beta_minus": ("beta_depression", ("rectangular",)),
    "window_ms": ("window_ms", ("rectangular",)),
    "tau_pre_ms": ("tau_pre_ms", ("triplet", "pair", "power", "exponential", "symmetric")),
    "tau_post_ms": ("tau_post_ms", ("triplet", "pair", "symmetric")),
    "tau_post_slow_ms": ("tau_post_slow_ms", ("triplet",)),
}
"""Of a rule: what the spec calls it, and the rules that have it."""


def _rule(rule: Rule) -> dict[str, Any]:
    values = asdict(rule)
    fields = {name: values[ours] for ours, (name, kinds) in FIELDS.items() if rule.kind in kinds}
    traces = {} if rule.kind == "rectangular" else {"traces": "add" if rule.additive else "set"}
    return {"kind": rule.kind, **fields, **traces}
