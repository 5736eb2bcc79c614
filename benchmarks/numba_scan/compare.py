"""The scan kernels in numba, and those in C that snncore has, on the arrays of one step of workload W2.

    .venv-peers/bin/python -m benchmarks.numba_scan.compare [--rounds 7]

The numba kernels are the first version of the C kernels: the same sums over the same events, written for numba's
compiler (loops over rows that it vectorises, no division checks, `reassoc` in the dot products). They stay here as the
evidence for docs/decisions/011. Forward, backward and weight gradient of a recurrent layer of 100 LIF and 140 adaptive
neurons, batch 128, T 784, float32, two threads, turn by turn. Prints a Markdown table of medians.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from benchmarks.numba_scan import backward as numba_backward
from benchmarks.numba_scan import forward as numba_forward
from benchmarks.numba_scan import weights as numba_weights
from benchmarks.numba_scan.arguments import Adjoint, Form, Given, Gradients, Marks, Neurons, Spikes, State, Sums, Target
from snncore.engines.cpu.native import STRUCTS, library

T, B, N, BLOCK = 784, 128, 240, 16
F4 = np.float32
POOL = ThreadPoolExecutor(2)


def on_both(work: Callable[[int], Any], starts: range) -> None:
    list(POOL.map(work, starts))


class Arrays:
    """Inputs that both kernels get."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        weights = (draw.standard_normal((N, N)) / np.sqrt(N)).astype(F4)
        self.out = np.ascontiguousarray(weights)[None]
        self.into = np.ascontiguousarray(weights.T)[None]
        self.currents = draw.standard_normal((T, B, N)).astype(F4) * F4(0.08)
        self.neurons = {
            "decay_mem": np.full(N, np.exp(-1 / 20), F4),
            "input_scale": np.ones(N, F4),
            "v_threshold": np.full(N, 0.6, F4),
            "decay_adapt": np.full(N, np.exp(-1 / 200), F4),
            "beta_adapt": np.r_[np.zeros(100), np.full(140, 1.8)].astype(F4),
            "n_refractory": np.zeros(N, np.int32),
        }
        self.kernel = np.linspace(0, 1, T).astype(F4)
        self.d_weighted = (0.01 * draw.standard_normal((B, N))).astype(F4)
        self.tape = np.empty((T, B, N), F4)
        self.words = np.zeros((T + 1, B, 4), np.uint64)
        self.gradient = np.zeros((N, N), F4)


def zeros(*shape: int) -> Any:
    return np.zeros(shape, F4)


def numba_step(a: Arrays) -> list[float]:
    neurons = Neurons(**a.neurons)
    form = Form(0, False, False, True, False, True, 0, True, F4(0), F4(0.3), F4(1))
    silent, none = np.zeros((0, 0, 0), np.uint64), np.zeros(0, np.int64)
    outside = Spikes(silent, none, zeros(0, 0, N), zeros(N))
    recurrent = Spikes(a.words, np.array([1]), a.out, zeros(N))
    marks = Marks(zeros(-(-T // numba_forward.SEGMENT), B, N), np.zeros((0, B, N), np.int32))
    state = State(zeros(B, N), zeros(B, N), zeros(B, N), np.zeros((B, N), np.int32))
    sums = Sums(a.kernel, zeros(B, N), zeros(B, N))
    own = Target(a.tape, zeros(0, B, N), np.array([1]), a.out, a.into)
    nothing = Target(zeros(T, B, 0), zeros(0, B, 0), none, zeros(0, N, 0), zeros(0, 0, N))
    adjoint, given = Adjoint(zeros(B, N), zeros(B, N)), Given(a.kernel, a.d_weighted, zeros(B, N), zeros(0, 0, 0))
    gradients = Gradients(*[zeros(0, 0)] * 4)
    a.tape[:] = a.currents
    halves = np.zeros((2, N, N // 2), F4)
    started = [time.perf_counter()]
    on_both(
        lambda b: numba_forward.forward(
            (b, b + BLOCK), 0, neurons, form, outside, recurrent, a.tape, state, marks, sums
        ),
        range(0, B, BLOCK),
    )
    started.append(time.perf_counter())
    on_both(
        lambda b: numba_backward.backward(
            (b, b + BLOCK), 0, neurons, form, own, nothing, a.tape, a.words, marks, adjoint, given, gradients
        ),
        range(0, B, BLOCK),
    )
    started.append(time.perf_counter())
    rows, words = a.tape.reshape(T * B, N), a.words[:T].reshape(T * B, 4)
    on_both(lambda k: numba_weights.weight_gradient(halves[k], rows, words, N // 2 * k, T * B), range(2))
    started.append(time.perf_counter())
    a.gradient = np.concatenate(list(halves), axis=1)
    return [after - before for before, after in itertools.pairwise(started)]


def c_step(a: Arrays) -> list[float]:
    native, structs = library(), STRUCTS[torch.float32]
    at, kept = structs.layer(), []

    def pointer(array: Any) -> int:
        kept.append(array)
        return int(array.ctypes.data)

    at.n_steps, at.batch, at.stride, at.column, at.width = T, B, N, 0, N
    at.tape, at.words, at.n_words, at.lead = pointer(a.tape), pointer(a.words), 4, 1
    for name, row in a.neurons.items():
        setattr(at, name, pointer(row))
    at.adaptive = at.inclusive = at.scaled = 1
    at.dampening, at.surrogate_width = 0.3, 1.0
    for name in ("v", "a", "dv", "da", "total", "weighted", "d_total"):
        setattr(at, name, pointer(zeros(B, N)))
    at.wait = pointer(np.zeros((B, N), np.int32))
    at.marked_a = pointer(zeros(-(-T // native.segment_steps()), B, N))
    at.kernel, at.d_weighted = pointer(a.kernel), pointer(a.d_weighted)
    delays = pointer(np.array([1]))
    synapses, own = at.recurrence, at.own
    synapses.words, synapses.n_words, synapses.lead, synapses.n_pre, synapses.n_delays = at.words, 4, 1, N, 1
    synapses.delays, synapses.weights = delays, pointer(a.out)
    own.gradient, own.n_pre, own.n_post, own.n_delays, own.delays = at.tape, N, N, 1, delays
    own.by_sender, own.by_receiver = pointer(a.out), pointer(a.into)
    a.gradient = zeros(N, N)
    source = structs.source()
    source.words, source.n_words, source.n_pre, source.gradient = at.words, 4, N, pointer(a.gradient)
    a.tape[:] = a.currents
    where = ctypes.addressof(at)
    started = [time.perf_counter()]
    on_both(lambda b: native.forward_f32(where, b, b + BLOCK), range(0, B, BLOCK))
    started.append(time.perf_counter())
    on_both(lambda b: native.backward_f32(where, b, b + BLOCK), range(0, B, BLOCK))
    started.append(time.perf_counter())
    on_both(
        lambda k: native.weight_gradients_f32(
            ctypes.addressof(source), 1, at.tape, T * B, N, N, 128 * k, min(N, 128 * (k + 1))
        ),
        range(2),
    )
    started.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(started)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The scan kernels in numba and in C.")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default: 7)")
    options = parser.parse_args()
    arrays, times, gradients = Arrays(), {"numba": [], "C": []}, {}
    for timed in range(-1, options.rounds):
        for name, step in (("numba", numba_step), ("C", c_step)):
            measured = step(arrays)
            gradients[name] = arrays.gradient.copy()
            if timed >= 0:
                times[name].append(measured)
    apart = np.linalg.norm(gradients["numba"] - gradients["C"]) / np.linalg.norm(gradients["C"])
    print("| ms | forward | backward | weights | all |\n| --- | ---: | ---: | ---: | ---: |")
    sums = {}
    for name, rounds in times.items():
        medians = [1e3 * statistics.median(column) for column in zip(*rounds, strict=True)]
        sums[name] = sum(medians)
        print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in [*medians, sums[name]]) + " |")
    print(f"\nC is {sums['numba'] / sums['C']:.1f} times as fast; the weight gradients are {apart:.0e} apart.")


if __name__ == "__main__":
    main()
