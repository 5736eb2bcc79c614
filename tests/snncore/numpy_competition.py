"""The network of Diehl & Cook in steps of `dt_ms`, synapse by synapse, in double precision.

A step goes from t to t + dt, in this order:

1. The conductances fall by exp(-dt / tau_g), the traces by exp(-dt / tau), theta by exp(-dt / tau_theta).
2. What arrives acts: input spikes whose delay is over, and the spikes that neurons of the other kind fired in the step
   before. At each input synapse the conductance gets the weight, the weight then the rule for presynaptic spikes, and
   the presynaptic trace is set at last.
3. V moves by exponential Euler with the mean of the conductances over the step, unless the neuron is refractory.
4. Where V is above the threshold there is a spike: V = v_reset for `refractory_ms`, theta += theta_plus, the rule for
   postsynaptic spikes with the presynaptic traces of 2 and the slow postsynaptic trace of before, then those are set.
"""

from __future__ import annotations

import math

import numpy as np

from tests.snncore.competition_cases import Case, Floats, Outcome, Population, Raster, Rule


class Neurons:
    """Potentials and conductances of a population."""

    def __init__(self, population: Population, n: int, dt_ms: float) -> None:
        self.population = population
        self.dt_ms = dt_ms
        self.v = np.full(n, population.v_rest)
        self.g_exc, self.g_inh = np.zeros(n), np.zeros(n)
        self.waiting = np.zeros(n, np.int64)

    def fade(self) -> None:
        self.g_exc *= math.exp(-self.dt_ms / self.population.tau_exc_ms)
        self.g_inh *= math.exp(-self.dt_ms / self.population.tau_inh_ms)

    def move(self, threshold: Floats, *, one_spike: bool = False) -> Raster:
        """Those that fire."""
        p, dt = self.population, self.dt_ms
        above = np.full(len(self.v), -np.inf)
        for j in range(len(self.v)):
            if self.waiting[j] > 0:
                self.waiting[j] -= 1
                continue
            exc = self.g_exc[j] * p.tau_exc_ms * (1 - math.exp(-dt / p.tau_exc_ms)) / dt
            inh = self.g_inh[j] * p.tau_inh_ms * (1 - math.exp(-dt / p.tau_inh_ms)) / dt
            total = 1 + exc + inh
            limit = (p.v_rest + exc * p.e_exc + inh * p.e_inh) / total
            self.v[j] = limit + (self.v[j] - limit) * math.exp(-dt * total / p.tau_ms)
            above[j] = self.v[j] - threshold[j]
        fired = above > 0
        if one_spike and fired.any():
            fired = np.arange(len(above)) == above.argmax()
        self.v[fired] = p.v_reset
        self.waiting[fired] = round(p.refractory_ms / dt)
        return fired


class Synapses:
    """The input's weights, and what they learn from."""

    def __init__(self, case: Case, dt_ms: float) -> None:
        self.rule = case.rule
        self.dt_ms = dt_ms
        self.w = case.weights.copy()
        self.x_pre = np.zeros_like(self.w)
        self.last_arrival = np.full(self.w.shape, -np.inf)
        self.x_post, self.x_post_slow = np.zeros(self.w.shape[1]), np.zeros(self.w.shape[1])

    def fade(self) -> None:
        if self.rule is not None:
            self.x_pre *= math.exp(-self.dt_ms / self.rule.tau_pre_ms)
            self.x_post *= math.exp(-self.dt_ms / self.rule.tau_post_ms)
            self.x_post_slow *= math.exp(-self.dt_ms / self.rule.tau_post_slow_ms)

    def arrive(self, step: int, i: int, j: int) -> None:
        """A spike of input i at its synapse with neuron j."""
        rule = self.rule
        if rule is None:
            return
        if rule.kind in ("triplet", "pair"):
            self._change(i, j, -rule.eta_pre * self.x_post[j])
        elif rule.kind == "symmetric":
            self._change(i, j, -rule.eta_pre * self.x_post[j] * self.w[i, j] ** rule.mu)
        self.x_pre[i, j] = self.x_pre[i, j] + 1 if rule.additive else 1.0
        self.last_arrival[i, j] = step

    def fire(self, step: int, j: int) -> None:
        """A spike of neuron j."""
        rule = self.rule
        if rule is None:
            return
        for i in range(len(self.w)):
            steps_since = step - self.last_arrival[i, j]
            recent = steps_since <= round(rule.window_ms / self.dt_ms)
            self._change(i, j, on_post(rule, self.w[i, j], self.x_pre[i, j], self.x_post_slow[j], recent))
        self.x_post[j] = self.x_post[j] + 1 if rule.additive else 1.0
        self.x_post_slow[j] = self.x_post_slow[j] + 1 if rule.additive else 1.0

    def _change(self, i: int, j: int, by: float) -> None:
        self.w[i, j] = min(max(self.w[i, j] + by, 0.0), 1.0)


def on_post(rule: Rule, w: float, x_pre: float, x_post_slow: float, recent: bool) -> float:
    """What a postsynaptic spike adds to a weight; `recent`: an input spike came within the rule's window."""
    match rule.kind:
        case "triplet":
            return rule.eta_post * x_pre * x_post_slow
        case "pair":
            return rule.eta_post * x_pre
        case "power" | "symmetric":
            return rule.eta_post * (x_pre - rule.x_tar) * (1 - w) ** rule.mu
        case "exponential":
            return rule.eta_post * (x_pre * math.exp(-rule.beta * w) - rule.x_tar * math.exp(-rule.beta * (1 - w)))
        case "rectangular":
            if recent:
                return rule.eta_post * math.exp(-rule.beta * w)
            return -rule.alpha_minus * math.exp(-rule.beta_minus * (1 - w))


def simulate(case: Case, dt_ms: float) -> Outcome:
    """The case in steps of `dt_ms`, to which input spikes, delays and refractory periods are rounded."""
    n = case.weights.shape[1]
    n_steps = round(case.duration_ms / dt_ms)
    arrivals = _arrivals(case, dt_ms, n_steps)
    exc, inh = Neurons(case.exc, n, dt_ms), None if case.inh is None else Neurons(case.inh, n, dt_ms)
    synapses = Synapses(case, dt_ms)
    theta = case.theta.copy()
    spikes, spikes_inh = np.zeros((n_steps, n), np.bool_), np.zeros((n_steps, n), np.bool_)
    v, g_exc, g_inh = (np.zeros((n_steps, n)) for _ in range(3))
    for step in range(n_steps):
        exc.fade()
        synapses.fade()
        if case.rule is not None:
            theta *= math.exp(-dt_ms / case.tau_theta_ms)
        for i, j in arrivals[step]:
            exc.g_exc[j] += synapses.w[i, j]
            synapses.arrive(step, i, j)
        inhibiting = spikes if inh is None else spikes_inh
        for j in range(n):
            exc.g_inh[j] += case.w_inh_exc * sum(step and inhibiting[step - 1, k] for k in range(n) if k != j)
        g_exc[step], g_inh[step] = exc.g_exc, exc.g_inh
        spikes[step] = exc.move(case.exc.v_threshold + theta, one_spike=case.one_spike)
        for j in np.flatnonzero(spikes[step]):
            synapses.fire(step, int(j))
            if case.rule is not None:
                theta[j] += case.theta_plus
        v[step] = exc.v
        if inh is not None:
            inh.fade()
            inh.g_exc += case.w_exc_inh * (spikes[step - 1] if step else 0)
            spikes_inh[step] = inh.move(np.full(n, inh.population.v_threshold))
    return Outcome(dt_ms, spikes, spikes_inh, v, g_exc, g_inh, synapses.w, theta)


def _arrivals(case: Case, dt_ms: float, n_steps: int) -> list[list[tuple[int, int]]]:
    """Which synapses (input, neuron) an input spike reaches in each step."""
    arrivals: list[list[tuple[int, int]]] = [[] for _ in range(n_steps)]
    for time_ms, i in zip(case.times_ms, case.sources, strict=True):
        for j in range(case.weights.shape[1]):
            step = round(time_ms / dt_ms) + round(case.delays_ms[i, j] / dt_ms)
            if step < n_steps:
                arrivals[step].append((int(i), j))
    return arrivals
