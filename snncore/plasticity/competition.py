"""The competitive network of Diehl & Cook (2015), and its spike-timing dependent plasticity.

A time step of length dt, for step t:

1. What arrives is added to the conductances: the weight of each input spike that was sent its delay ago, and the spikes
   of the other population of step t - 1. The traces have decayed since the last step, x *= exp(-dt / tau); so has the
   threshold, theta *= exp(-dt / tau_theta).
2. At each synapse that an input spike reaches, the rule's change at input spikes, then x_pre = 1 (or += 1).
3. Potentials move by exponential Euler with the mean conductances of the step, g' = g tau_g (1 - exp(-dt /
   tau_g)) / dt. With G = 1 + g_exc' + g_inh', V = V_inf + (V - V_inf) exp(-dt G / tau_mem), where
   V_inf = (v_rest + g_exc' e_exc + g_inh' e_inh) / G. Refractory neurons stay at v_reset. Then g *= exp(-dt / tau_g).
4. Neurons above v_threshold + theta spike: V = v_reset, theta += theta_step, the rule's change at their spikes for all
   of their synapses, then x_post = 1 (or += 1).

The circuit 'fast' has no inhibitory neurons: at step 4 only the neuron that is farthest above its threshold spikes, and
its spike is added to the inhibition of all others at once.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.plasticity import native
from snncore.plasticity.native import pointer
from snncore.streams import stream

PADDING = 16
"""A row of weights is a multiple of so many numbers."""
RULES = ("triplet", "pair", "power", "exponential", "symmetric", "rectangular")
SEGMENT = 100
"""Samples that are shown one after the other without learning, beginning with a cleared state: threads share segments,
so that what is answered does not depend on how many there are."""

Numbers = NDArray[Any]


class Answers(NamedTuple):
    """What the network did: spikes of each neuron `[m, n]`, of the inhibitory ones `[m, n]`, how often each sample was
    shown `[m]`, and the input spikes of all attempts `[m]`."""

    counts: NDArray[np.int32]
    inhibitory: NDArray[np.int32]
    attempts: NDArray[np.int32]
    input_spikes: NDArray[np.int64]

    @staticmethod
    def empty(m: int, n: int) -> Answers:
        return Answers(
            np.zeros((m, n), np.int32), np.zeros((m, n), np.int32), np.zeros(m, np.int32), np.zeros(m, np.int64)
        )

    def part(self, which: slice) -> Answers:
        """A view of those to some of the samples."""
        return Answers(self.counts[which], self.inhibitory[which], self.attempts[which], self.input_spikes[which])

    def put(self, which: slice | NDArray[np.int64], some: Answers) -> None:
        """Write the answers to some of the samples."""
        self.counts[which], self.inhibitory[which] = some.counts, some.inhibitory
        self.attempts[which], self.input_spikes[which] = some.attempts, some.input_spikes

    def for_kernel(self) -> native.Outcome:
        return native.Outcome(*(pointer(array) for array in self))


@dataclass(frozen=True, slots=True)
class Shown:
    """One presentation in detail, bool `[T, n]` each; `traces` `[3, T, n]` are V, g_exc and g_inh."""

    counts: NDArray[np.int32]
    raster: NDArray[np.bool_]
    raster_inhibitory: NDArray[np.bool_]
    traces: NDArray[np.float64]


class CompetitiveNetwork:
    """Weights, thresholds and the state of the neurons, all of which the kernel changes in place."""

    def __init__(self, job: spec.JobSpec) -> None:
        assert isinstance(job.architecture, spec.Competitive)
        assert isinstance(job.training, spec.STDP)
        assert isinstance(job.neuron, spec.ConductanceLIF)
        assert isinstance(job.encoding, spec.Poisson)
        self.architecture, self.training, self.neuron = job.architecture, job.training, job.neuron
        self.encoding, self.circuit = job.encoding, job.architecture.circuit
        self.n, self.n_inputs = job.architecture.n_neurons, spec.n_inputs(job)
        self.stride = -(-self.n // PADDING) * PADDING
        self.dtype = np.dtype(job.training.precision)
        self.kept: list[Numbers] = []
        """What the kernel's structs point to and nobody else holds."""
        self.network = self._network(job.seed)
        self.weights = np.zeros((self.n_inputs, self.stride), self.dtype)
        draw = stream(job.seed, "weights/input")
        self.weights[:, : self.n] = self.training.w_max * 0.3 * (draw.random((self.n_inputs, self.n)) + 0.01)
        self.theta = np.full(self.n, self.neuron.theta_initial_mv)
        self.cells = self._cells()
        if self.network.total > 0:
            self._call("normalise_all", ctypes.byref(self.network), pointer(self.weights))

    # -- what the kernel takes

    def _network(self, seed: int) -> native.Network:
        circuit, neuron, dt = self.circuit, self.neuron, self.encoding.dt_ms
        original = isinstance(circuit, spec.OriginalCircuit)
        delays = round(circuit.longest_delay_ms / dt) + 1 if circuit.longest_delay_ms else 0
        starts = targets = None
        if delays:
            drawn = stream(seed, "delays/input").integers(delays, size=(self.n_inputs, self.n))
            self.delays = drawn
            targets = np.argsort(drawn, axis=1, kind="stable").astype(np.int32)
            up_to = [(drawn < delay).sum(axis=1) for delay in range(delays + 1)]
            starts = np.stack(up_to, axis=1).astype(np.int32)
            self.kept += [starts, targets]
        return native.Network(
            n_inputs=self.n_inputs,
            n=self.n,
            stride=self.stride,
            exc=_population(neuron, dt),
            inh=_population(circuit.inhibitory if isinstance(circuit, spec.OriginalCircuit) else neuron, dt),
            has_inhibitory=original,
            w_exc_inh=circuit.w_exc_inh if isinstance(circuit, spec.OriginalCircuit) else 0.0,
            w_inh_exc=circuit.w_inh_exc if isinstance(circuit, spec.OriginalCircuit) else circuit.w_inhibition,
            one_spike=isinstance(circuit, spec.FastCircuit) and circuit.one_spike,
            theta_plus=neuron.theta_step_mv,
            decay_theta=math.exp(-dt / neuron.tau_theta_ms),
            total=self.training.weight_total or 0.0,
            rule=self._rule(dt),
            n_delays=delays,
            delay_starts=pointer(starts),
            delay_targets=pointer(targets),
        )

    def _rule(self, dt: float) -> native.Plasticity:
        rule = self.training.rule
        rectangular = isinstance(rule, spec.Rectangular)
        tau_pre = dt if isinstance(rule, spec.Rectangular) else rule.tau_pre_ms
        n_decays = math.ceil(50 * tau_pre / dt)  # until exp(-50)
        decay = np.exp(-np.arange(n_decays) * dt / tau_pre)
        self.kept.append(decay)

        def of(name: str, default: float = 0.0) -> float:
            return float(getattr(rule, name, default))

        return native.Plasticity(
            kind=RULES.index(rule.kind),
            additive=not isinstance(rule, spec.Rectangular) and rule.traces == "add",
            rate_pre=of("learning_rate_pre"),
            rate_post=rule.learning_rate,
            w_max=self.training.w_max,
            x_target=of("x_target"),
            exponent=of("exponent"),
            beta=of("beta"),
            beta_minus=of("beta_depression"),
            alpha_minus=of("depression"),
            window=round(of("window_ms") / dt) if rectangular else 0,
            decay_post=math.exp(-dt / of("tau_post_ms", 20.0)),
            decay_post_slow=math.exp(-dt / of("tau_post_slow_ms", 40.0)),
            decay_pre=pointer(decay),
            n_decays=n_decays,
        )

    def _cells(self) -> dict[str, Numbers]:
        """The state of the neurons, at rest."""
        reals = {name: np.zeros(self.stride, self.dtype) for name in ("v", "g_exc", "g_inh", "x_post", "x_post_slow")}
        reals |= {name: np.zeros(self.stride, self.dtype) for name in ("v_i", "g_i")}
        counters = {name: np.zeros(self.stride, np.int32) for name in ("waiting", "waiting_i")}
        flags = {name: np.zeros(self.stride, np.uint8) for name in ("fired", "fired_i")}
        places = self.n_inputs * (self.stride if self.network.n_delays else 1)
        arrivals = {
            "x_pre": np.zeros(places, self.dtype),
            "arrived": np.zeros(places, np.int64),
            "now": np.zeros(1, np.int64),
        }
        cells: dict[str, Numbers] = {**reals, **counters, **flags, **arrivals}
        state = self._state(cells, self.theta)
        self._call("clear", ctypes.byref(self.network), ctypes.byref(state))
        return cells

    def _state(
        self,
        cells: Mapping[str, Numbers],
        theta: Numbers,
        changes: Numbers | None = None,
        theta_changes: Numbers | None = None,
    ) -> native.State:
        return native.State(
            weights=pointer(self.weights),
            changes=pointer(changes),
            theta=pointer(theta),
            theta_changes=pointer(theta_changes),
            **{name: pointer(array) for name, array in cells.items()},
        )

    def _course(self, key: int, *, learning: bool) -> native.Course:
        circuit, encoding = self.circuit, self.encoding
        retry = circuit.retry
        return native.Course(
            n_shown=encoding.n_steps,
            n_rest=round((circuit.rest_ms or 0) / encoding.dt_ms),
            clears=circuit.rest_ms is None,
            chance=encoding.max_rate_hz * encoding.dt_ms / 1000,
            chance_raised=retry.raise_hz * encoding.dt_ms / 1000 if retry else 0.0,
            enough=retry.enough_spikes if retry else 0,
            most_attempts=retry.most_attempts if retry else 1,
            key=key,
            learning=learning,
        )

    def _call(self, kernel: str, *arguments: Any) -> int:
        found = getattr(native.library(), f"{kernel}_{native.SUFFIX[self.dtype]}")
        status = found(*arguments)
        if status is not None and status < 0:
            raise MemoryError
        return int(status or 0)

    def _show(self, state: native.State, course: native.Course, x: Numbers, numbers: Numbers, answers: Answers) -> None:
        outcome = answers.for_kernel()
        network, numbers = ctypes.byref(self.network), np.ascontiguousarray(numbers, np.int64)
        x = np.ascontiguousarray(x, np.float32)
        self._call(
            "show",
            network,
            ctypes.byref(state),
            ctypes.byref(course),
            pointer(x),
            pointer(numbers),
            len(x),
            ctypes.byref(outcome),
        )

    # -- what a run asks for

    def learn(self, x: Numbers, numbers: Numbers, key: int) -> Answers:
        """Show samples `x` `[m, F]` one after the other, learning from each. `numbers` `[m]` name their random streams
        under `key`."""
        answers = Answers.empty(len(x), self.n)
        self._show(self._state(self.cells, self.theta), self._course(key, learning=True), x, numbers, answers)
        return answers

    def learn_batch(self, x: Numbers, numbers: Numbers, key: int, threads: int) -> Answers:
        """Show all samples to networks with the same weights and thresholds, and sum up what they change."""
        course = self._course(key, learning=True)
        groups = [np.arange(first, len(x), spec.GROUPS) for first in range(min(spec.GROUPS, len(x)))]
        changes = [(np.zeros_like(self.weights), np.zeros_like(self.theta)) for _ in groups]

        def one(group: int) -> Answers:
            which, (of_weights, of_theta) = groups[group], changes[group]
            answers, theta, cells = Answers.empty(len(which), self.n), self.theta.copy(), self._cells()
            state = self._state(cells, theta, of_weights, of_theta)
            self._show(state, course, x[which], numbers[which], answers)
            return answers

        with ThreadPoolExecutor(max(1, threads)) as pool:
            parts = list(pool.map(one, range(len(groups))))
        for of_weights, of_theta in changes:
            self.weights += of_weights
            self.theta += of_theta
        self.theta *= self.network.decay_theta ** (course.n_shown + course.n_rest)
        np.clip(self.weights, 0, self.training.w_max, out=self.weights)
        if self.network.total > 0:
            self._call("normalise_all", ctypes.byref(self.network), pointer(self.weights))
        answers = Answers.empty(len(x), self.n)
        for which, part in zip(groups, parts, strict=True):
            answers.put(which, part)
        return answers

    def respond(self, x: Numbers, key: int, threads: int = 1, first: int = 0) -> Answers:
        """Show samples `[m, F]` with weights and thresholds frozen. They are the samples from number `first` on."""
        course = self._course(key, learning=False)
        answers = Answers.empty(len(x), self.n)

        def segment(begin: int) -> None:
            part, cells = slice(begin, min(begin + SEGMENT, len(x))), self._cells()
            state, numbers = self._state(cells, self.theta), first + np.arange(part.start, part.stop)
            self._show(state, course, x[part], numbers, answers.part(part))

        with ThreadPoolExecutor(max(1, threads)) as pool:
            list(pool.map(segment, range(0, len(x), SEGMENT)))
        return answers

    def present(
        self,
        spikes: NDArray[np.bool_],
        *,
        learning: bool = False,
        n_rest: int = 0,
        cells: Mapping[str, Numbers] | None = None,
    ) -> Shown:
        """Show input spikes `[T, F]`, and `n_rest` steps of silence, to the network in the state that it is in, or to
        one whose neurons are in the state `cells`."""
        n_shown = len(spikes)
        n_steps = n_shown + n_rest
        starts = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))]).astype(np.int32)
        inputs = np.nonzero(spikes)[1].astype(np.int32)
        counts, inhibitory = np.zeros(self.n, np.int32), np.zeros(self.n, np.int32)
        rasters = np.zeros((2, n_steps, self.n), np.uint8)
        traces = np.zeros((3, n_steps, self.n))
        shown = native.Presentation(
            n_steps=n_steps,
            n_shown=n_shown,
            starts=pointer(starts),
            inputs=pointer(inputs),
            learning=learning,
            counts=pointer(counts),
            counts_inh=pointer(inhibitory),
            raster=pointer(rasters[0]),
            raster_inh=pointer(rasters[1]),
            traces=pointer(traces),
        )
        state = self._state(self.cells if cells is None else cells, self.theta)
        self._call("present", ctypes.byref(self.network), ctypes.byref(state), ctypes.byref(shown))
        return Shown(counts, rasters[0].astype(bool), rasters[1].astype(bool), traces)

    def present_sample(self, x: Numbers, number: int, key: int) -> tuple[NDArray[np.bool_], Shown]:
        """The input spikes `[T, F]` of a sample `[F]` at its first attempt, and what the network does from rest."""
        spikes = self.draw(x, number, key)
        return spikes, self.present(spikes, cells=self._cells())

    def draw(self, x: Numbers, number: int, key: int) -> NDArray[np.bool_]:
        """The input spikes `[T, F]` of a sample at its first attempt."""
        course = self._course(key, learning=False)
        probability = np.minimum(x.astype(np.float64) * course.chance, 1).astype(np.float32)
        starts, inputs = np.zeros(course.n_shown + 1, np.int32), np.zeros(0, np.int32)
        while True:
            drawn = native.library().draw_spikes(
                pointer(probability),
                self.n_inputs,
                course.n_shown,
                key,
                number,
                0,
                len(inputs),
                pointer(starts),
                pointer(inputs),
            )
            if drawn < 0:
                raise MemoryError
            if drawn <= len(inputs):
                break
            inputs = np.zeros(drawn, np.int32)
        spikes = np.zeros((course.n_shown, self.n_inputs), bool)
        steps = np.repeat(np.arange(course.n_shown), np.diff(starts))
        spikes[steps, inputs[:drawn]] = True
        return spikes

    # -- what a checkpoint holds

    def learned(self) -> dict[str, Numbers]:
        """Copies of the weights `[F, n]` and thresholds `[n]`."""
        return {"weights": self.weights[:, : self.n].copy(), "theta": self.theta.copy()}

    def load(self, learned: Mapping[str, Numbers], cells: Mapping[str, Numbers] | None = None) -> None:
        """Put back what `learned` gave, and the state of the neurons, which is cleared where none is given."""
        self.weights[:, : self.n] = learned["weights"]
        self.theta[:] = learned["theta"]
        self.cells = self._cells()
        for name, array in (cells or {}).items():
            self.cells[name][:] = array


def _population(cells: spec.ConductanceLIF | spec.InhibitoryCells, dt: float) -> native.Cells:
    decay_exc, decay_inh = math.exp(-dt / cells.tau_exc_ms), math.exp(-dt / cells.tau_inh_ms)
    return native.Cells(
        v_rest=cells.v_rest_mv,
        v_reset=cells.v_reset_mv,
        v_threshold=cells.v_threshold_mv,
        e_exc=cells.e_exc_mv,
        e_inh=cells.e_inh_mv,
        decay_exc=decay_exc,
        decay_inh=decay_inh,
        mean_exc=cells.tau_exc_ms * (1 - decay_exc) / dt,
        mean_inh=cells.tau_inh_ms * (1 - decay_inh) / dt,
        step=dt / cells.tau_mem_ms,
        n_refractory=round(cells.refractory_ms / dt),
    )
