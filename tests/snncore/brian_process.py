"""The process in which brian2 runs: pickled requests come in, pickled outcomes go out (see `brian_competition`)."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import pickle
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from tests.snncore.brian_competition import Request
from tests.snncore.competition_cases import Case, Outcome, Population, Rule

NEURONS = """
dv/dt = ((v_rest - v) + g_e * (e_exc - v) + g_i * (e_inh - v)) / tau : volt (unless refractory)
dg_e/dt = -g_e / tau_e : 1
dg_i/dt = -g_i / tau_i : 1
"""
# x_pre, x_post and x_slow of the rules: brian2 keeps names that end so for itself.
SYNAPSES = """
w : 1
arrived : second
dbefore/dt = -before / tau_pre : 1 (event-driven)
dafter/dt = -after / tau_post : 1 (event-driven)
dafter_slow/dt = -after_slow / tau_slow : 1 (event-driven)
"""
ON_PRE = {
    "triplet": "w - eta_pre * after",
    "pair": "w - eta_pre * after",
    "symmetric": "w - eta_pre * after * w**mu",
}
ON_POST = {
    "triplet": "w + eta_post * before * after_slow",
    "pair": "w + eta_post * before",
    "power": "w + eta_post * (before - x_tar) * (1 - w)**mu",
    "symmetric": "w + eta_post * (before - x_tar) * (1 - w)**mu",
    "exponential": "w + eta_post * (before * exp(-beta * w) - x_tar * exp(-beta * (1 - w)))",
    "rectangular": "w + recent * eta_post * exp(-beta * w) - (1 - recent) * alpha_minus * exp(-beta_minus * (1 - w))",
}
LONG_AGO_S = -1000.0


class _WithoutPtp(importlib.abc.MetaPathFinder):
    """brian2 2.9, the last that runs on Python 3.11, wraps `ndarray.ptp`, which NumPy 2.4 has no more."""

    MODULE = "brian2.units.fundamentalunits"

    class Loader(importlib.machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:
            source = self.get_data(self.path).replace(b"np.ndarray.ptp", b"np.ptp")
            return self.source_to_code(source, self.path)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = self.Loader(fullname, spec.origin)
        return spec


if not hasattr(np.ndarray, "ptp"):
    sys.meta_path.insert(0, _WithoutPtp())

import brian2 as b  # noqa: E402 - after the above

b.prefs.codegen.target = "numpy"  # no compiler, and nothing cached outside of the checkout


def run(request: Request) -> Outcome:
    """One case from its start to its end."""
    case, dt = request.case, request.dt_ms * b.ms
    b.defaultclock.dt = dt
    n_inputs, n = case.weights.shape
    exc = _excitatory(request, n)
    # An input spike acts before potentials move, as if it had come at the very start of the step.
    inputs = b.SpikeGeneratorGroup(n_inputs, case.sources, case.times_ms * b.ms, when="start", order=-2)
    feed = _input_synapses(case, inputs, exc)
    inh = _inhibitory(request, n)
    excite = b.Synapses(exc, inh, on_pre="g_e_post += w_exc_inh", namespace={"w_exc_inh": case.w_exc_inh})
    excite.connect(j="i")
    inhibit = b.Synapses(inh, exc, on_pre="g_i_post += w_inh_exc", namespace={"w_inh_exc": case.w_inh_exc})
    inhibit.connect(condition="i != j")
    spikes, spikes_inh = b.SpikeMonitor(exc), b.SpikeMonitor(inh)
    driven = b.StateMonitor(exc, ("g_e", "g_i"), record=True, when="before_groups")
    moved = b.StateMonitor(exc, "v", record=True, when="end")
    parts = (exc, inh, inputs, feed, excite, inhibit, spikes, spikes_inh, driven, moved)
    b.Network(*parts).run(case.duration_ms * b.ms)
    n_steps = round(case.duration_ms / request.dt_ms)
    weights = np.zeros_like(case.weights)
    weights[np.asarray(feed.i), np.asarray(feed.j)] = np.asarray(feed.w)
    return Outcome(
        request.dt_ms,
        _raster(spikes, n_steps, n, request.dt_ms),
        _raster(spikes_inh, n_steps, n, request.dt_ms),
        np.asarray(moved.v / b.mV).T,
        np.asarray(driven.g_e).T,
        np.asarray(driven.g_i).T,
        weights,
        np.asarray(exc.theta / b.mV),
    )


def _excitatory(request: Request, n: int) -> Any:
    case = request.case
    learns = case.rule is not None
    group = b.NeuronGroup(
        n,
        NEURONS + ("dtheta/dt = -theta / tau_theta : volt" if learns else "theta : volt (constant)"),
        threshold="v > v_threshold + theta",
        reset="v = v_reset; theta += theta_plus" if learns else "v = v_reset",
        namespace=_constants(case.exc) | {"theta_plus": case.theta_plus * b.mV, "tau_theta": case.tau_theta_ms * b.ms},
        refractory=_refractory(case.exc, request.dt_ms),
        method=request.method,
    )
    group.v, group.theta = case.exc.v_rest * b.mV, case.theta * b.mV
    return group


def _inhibitory(request: Request, n: int) -> Any:
    population = request.case.inh
    if population is None or request.case.one_spike:
        raise ValueError("brian2 is asked for networks with inhibitory neurons and without `one_spike` only")
    group = b.NeuronGroup(
        n,
        NEURONS,
        threshold="v > v_threshold",
        reset="v = v_reset",
        namespace=_constants(population),
        refractory=_refractory(population, request.dt_ms),
        method=request.method,
    )
    group.v = population.v_rest * b.mV
    return group


def _refractory(population: Population, dt_ms: float) -> Any:
    """brian2 counts from the start of the step with the spike, which is found at its end: one step longer."""
    return (population.refractory_ms + dt_ms) * b.ms


def _constants(population: Population) -> dict[str, Any]:
    potentials = ("v_rest", "v_reset", "v_threshold", "e_exc", "e_inh")
    times = {"tau": population.tau_ms, "tau_e": population.tau_exc_ms, "tau_i": population.tau_inh_ms}
    return {name: getattr(population, name) * b.mV for name in potentials} | {
        name: value * b.ms for name, value in times.items()
    }


def _input_synapses(case: Case, inputs: Any, exc: Any) -> Any:
    rule = case.rule
    synapses = {"model": "w : 1", "on_pre": "g_e_post += w"} if rule is None else _learning(rule)
    feed = b.Synapses(inputs, exc, **synapses)
    feed.connect()
    i, j = np.asarray(feed.i), np.asarray(feed.j)
    feed.w = case.weights[i, j]
    feed.delay = case.delays_ms[i, j] * b.ms
    feed.pre.when = "start"
    if rule:
        feed.arrived = LONG_AGO_S * b.second
    return feed


def _learning(rule: Rule) -> dict[str, Any]:
    """Arguments of the synapses that learn by a rule."""
    new = "{0} + 1" if rule.additive else "1"
    depress = [f"w = clip({ON_PRE[rule.kind]}, 0, 1)"] if rule.kind in ON_PRE else []
    recent = ["recent = int(timestep(t - arrived, dt) <= timestep(window, dt))"] if rule.kind == "rectangular" else []
    names = ("eta_pre", "eta_post", "x_tar", "mu", "beta", "alpha_minus", "beta_minus")
    times = {
        "window": rule.window_ms,
        "tau_pre": rule.tau_pre_ms,
        "tau_post": rule.tau_post_ms,
        "tau_slow": rule.tau_post_slow_ms,
    }
    return {
        "model": SYNAPSES,
        "on_pre": "\n".join(["g_e_post += w", *depress, f"before = {new.format('before')}", "arrived = t"]),
        "on_post": "\n".join(
            [
                *recent,
                f"w = clip({ON_POST[rule.kind]}, 0, 1)",
                *(f"{trace} = {new.format(trace)}" for trace in ("after", "after_slow")),
            ]
        ),
        "namespace": {name: getattr(rule, name) for name in names}
        | {name: value * b.ms for name, value in times.items()},
    }


def _raster(monitor: Any, n_steps: int, n: int, dt_ms: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    raster = np.zeros((n_steps, n), np.bool_)
    raster[np.rint(np.asarray(monitor.t / b.ms) / dt_ms).astype(int), np.asarray(monitor.i)] = True
    return raster


def main() -> None:
    # What brian2 prints must not come between the bytes of the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = pickle.load(sys.stdin.buffer)
    with answer:
        pickle.dump([run(request) for request in requests], answer)


if __name__ == "__main__":
    main()
