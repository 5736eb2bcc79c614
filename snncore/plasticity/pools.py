"""Pools of neurons that are taught by spikes, and the accumulators that decide.

With the input spikes z_i, the weights w_ji, the spikes y_j of the neurons and u_j of their teachers, in each step:

    v_j <- exp(-dt / tau_mem) v_j + input_gain sum_i w_ji z_i
    y_j = [v_j >= v_threshold], unless a spike came in the last n_refractory steps; then v_j <- v_reset
    A_c <- max(0, exp(-dt / tau) A_c + s_c - cross_inhibition sum_(c' != c) s_c')    s_c: spikes of pool c

and where the pools learn:

    x_i <- exp(-dt / tau_trace) x_i + z_i
    w_ji <- w_ji + learning_rate x_i where u_j, then w_ji - learning_rate x_i where y_j, within w_min and w_max

The rule is linear in y - u, so that the own rate settles at the taught one. With calcium windows a neuron's weights
rise only while up_from <= C_j <= up_to, and fall only while down_from <= C_j <= down_to, where
C_j <- exp(-dt / tau_calcium) C_j + y_j + u_j. The answer is the pool whose accumulator is first at the bound, the
highest where several get there at once.

A scaled model in the manner of Beyeler, Dutt & Krichmar 2013, whose full parameters were not to be had.
"""

from __future__ import annotations

import math
from ctypes import Structure, byref, c_double, c_float, c_int64, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snncore import spec
from snncore.plasticity.native import SUFFIX, library, pointer
from snncore.streams import stream

Weights: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


def _structs(real: Any) -> tuple[type[Structure], type[Structure]]:
    """The structs of `kernels/pools.c`, field by field: what the pools are, and what is presented to them."""
    integers = ("n_inputs", "n_pools", "pool_size", "n_refractory", "calcium")
    reals = (
        *("decay_mem", "gain", "v_threshold", "v_reset", "decay_trace", "learning_rate", "w_min", "w_max"),
        *("decay_calcium", "up_from", "up_to", "down_from", "down_to"),
        *("decay_accumulator", "cross_inhibition", "bound"),
    )
    pools = [*((name, c_int64) for name in integers), *((name, real) for name in reals), ("weights", c_void_p)]
    given = ("probabilities", "labels", "taught")
    made = ("responses", "decision_steps", "pool_spikes", "neuron_spikes", "input_spikes")
    recorded = ("raster", "input_raster", "teacher_raster", "evidence")
    shown = [
        *((name, c_int64) for name in ("n_samples", "n_steps")),
        *((name, c_uint64) for name in ("input_key", "teacher_key", "first")),
        *((name, c_void_p) for name in (*given, *made, *recorded)),
    ]
    return type("Pools", (Structure,), {"_fields_": pools}), type("Presentation", (Structure,), {"_fields_": shown})


STRUCTS = {np.dtype(np.float32): _structs(c_float), np.dtype(np.float64): _structs(c_double)}
NOBODY = -1
"""The answer where no accumulator has come to the bound."""


class Draws(NamedTuple):
    """Where the spikes of samples come from: each follows from these keys and its number."""

    input_key: int
    teacher_key: int
    first: int = 0
    """Number of the first sample; the others follow it."""

    def beginning_with(self, first: int) -> Draws:
        return self._replace(first=first)


@dataclass(frozen=True, slots=True)
class Recorded:
    """All spikes of B samples of T steps, and the accumulators after each step."""

    pools: NDArray[np.bool_]
    """`[B, T, N]`"""
    input: NDArray[np.bool_]
    """`[B, T, n_inputs]`"""
    teachers: NDArray[np.bool_]
    """`[B, T, N]`"""
    evidence: Weights
    """`[B, T, C]`"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of B samples, in a network of C pools and N neurons."""

    responses: NDArray[np.int64]
    """`[B]`, the pool that decided; `NOBODY`: none."""
    decision_steps: NDArray[np.int64]
    """`[B]`, the step in which it came to the bound, from 0."""
    pool_spikes: NDArray[np.int64]
    """`[B, C]`"""
    neuron_spikes: NDArray[np.int64]
    """`[N]`, of all samples."""
    input_spikes: NDArray[np.int64]
    """`[1]`, of all samples."""
    recorded: Recorded | None = None


class Pools:
    """The pools of a job. `weights` `[n_inputs, N]` are changed by `learn`; neuron j belongs to pool j // pool_size."""

    def __init__(self, job: spec.JobSpec, weights: Weights) -> None:
        architecture, training = job.architecture, job.training
        assert isinstance(architecture, spec.DecisionPools)
        assert isinstance(training, spec.TeacherSTDP)
        self.architecture, self.training = architecture, training
        self.dt_ms = job.encoding.dt_ms
        self.n_pools = job.n_outputs
        self.weights = weights
        self.learning_steps = job.encoding.n_steps
        self.decision_steps = round(architecture.decision.duration_ms / self.dt_ms)

    def learn(
        self,
        probabilities: NDArray[np.float32],
        labels: NDArray[np.int64],
        draws: Draws,
        learning_rate: float,
        *,
        record: bool = False,
    ) -> Shown:
        """Learn samples, one after the other, for the time of the encoding. Their inputs spike with `probabilities`
        `[B, n_inputs]` in each step."""
        return self._present(probabilities, labels, draws, learning_rate, self.learning_steps, record)

    def decide(self, probabilities: NDArray[np.float32], draws: Draws, *, record: bool = False) -> Shown:
        """Present samples without learning, for the time of the decision."""
        return self._present(probabilities, None, draws, 0.0, self.decision_steps, record)

    def _present(
        self,
        probabilities: NDArray[np.float32],
        labels: NDArray[np.int64] | None,
        draws: Draws,
        learning_rate: float,
        n_steps: int,
        record: bool,
    ) -> Shown:
        n_samples, n, real = len(probabilities), self.weights.shape[1], self.weights.dtype
        taught = np.full(self.architecture.pool_size, self.training.teacher_rate_hz * self.dt_ms / 1000, np.float32)
        shown = Shown(
            responses=np.empty(n_samples, np.int64),
            decision_steps=np.empty(n_samples, np.int64),
            pool_spikes=np.zeros((n_samples, self.n_pools), np.int64),
            neuron_spikes=np.zeros(n, np.int64),
            input_spikes=np.zeros(1, np.int64),
            recorded=Recorded(
                pools=np.zeros((n_samples, n_steps, n), np.bool_),
                input=np.zeros((n_samples, n_steps, len(self.weights)), np.bool_),
                teachers=np.zeros((n_samples, n_steps, n), np.bool_),
                evidence=np.zeros((n_samples, n_steps, self.n_pools), real),
            )
            if record
            else None,
        )
        made = (shown.responses, shown.decision_steps, shown.pool_spikes, shown.neuron_spikes, shown.input_spikes)
        kept = shown.recorded
        recorded = (None,) * 4 if kept is None else (kept.pools, kept.input, kept.teachers, kept.evidence)
        presentation = STRUCTS[real][1](
            n_samples, n_steps, *draws, *map(pointer, (probabilities, labels, taught, *made, *recorded))
        )
        if getattr(library(), f"present_pools_{SUFFIX[real]}")(byref(self._pools(learning_rate)), byref(presentation)):
            raise MemoryError("there is no memory for the spikes of a sample")
        return shown

    def _pools(self, learning_rate: float) -> Structure:
        neuron, decision, training = self.architecture.neuron, self.architecture.decision, self.training
        windows = training.calcium or spec.CalciumWindows()
        return STRUCTS[self.weights.dtype][0](
            len(self.weights),
            self.n_pools,
            self.architecture.pool_size,
            neuron.n_refractory,
            training.calcium is not None,
            self._decay(neuron.tau_mem_ms),
            neuron.input_gain,
            neuron.v_threshold,
            neuron.v_reset,
            self._decay(training.tau_trace_ms),
            learning_rate,
            training.w_min,
            training.w_max,
            self._decay(windows.tau_ms),
            windows.up_from,
            windows.up_to,
            windows.down_from,
            windows.down_to,
            self._decay(decision.tau_ms),
            decision.cross_inhibition,
            decision.bound,
            pointer(self.weights),
        )

    def _decay(self, tau_ms: float) -> float:
        return math.exp(-self.dt_ms / tau_ms)


def initial_weights(job: spec.JobSpec) -> Weights:
    """Uniform between 0 and `initial_weight`, `[n_inputs, N]`."""
    assert isinstance(job.architecture, spec.DecisionPools)
    shape = spec.n_inputs(job), job.n_outputs * job.architecture.pool_size
    drawn = stream(job.seed, "weights/pools/input").uniform(0, job.architecture.initial_weight, shape)
    return drawn.astype(job.training.precision)


def draws(seed: int, purpose: str, *where: int) -> Draws:
    """The spikes of the samples that are shown for a purpose."""
    input_key, teacher_key = stream(seed, f"spikes/{purpose}", *where).integers(2**64, size=2, dtype=np.uint64)
    return Draws(int(input_key), int(teacher_key))
