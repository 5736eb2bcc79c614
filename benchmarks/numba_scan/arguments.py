"""What the kernels are given, in named groups. B samples, T steps of a chunk, N neurons padded to a multiple of 8."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Words = NDArray[np.uint64]
Ints = NDArray[np.int64]


class Neurons(NamedTuple):
    """Parameters of the neurons of a tile, `[width]`."""

    decay_mem: Floats
    input_scale: Floats
    v_threshold: Floats
    decay_adapt: Floats
    beta_adapt: Floats
    n_refractory: NDArray[np.int32]


class Form(NamedTuple):
    """What the neurons of a layer share."""

    reset: int
    """0 subtract, 1 value, 2 none"""
    same_step: bool
    detach_reset: bool
    adaptive: bool
    refractory: bool
    inclusive: bool
    surrogate: int
    """0 triangle, 1 fast_sigmoid, 2 arctan, 3 gaussian, 4 boxcar"""
    scaled: bool
    v_reset: np.floating[Any]
    dampening: np.floating[Any]
    width: np.floating[Any]


class Spikes(NamedTuple):
    """Synapses that take spikes. `words` `[lead + T, B, n_words]` begins `lead` steps before the chunk."""

    words: Words
    delays: Ints
    weights: Floats
    """`[n_delays, n_pre, width]`"""
    bias: Floats


class State(NamedTuple):
    v: Floats
    z: Floats
    a: Floats
    wait: NDArray[np.int32]


class Marks(NamedTuple):
    a: Floats
    wait: NDArray[np.int32]


class Sums(NamedTuple):
    kernel: Floats
    weighted: Floats
    total: Floats


class Target(NamedTuple):
    tape: Floats
    later: Floats
    delays: Ints
    by_pre: Floats
    by_post: Floats


class Adjoint(NamedTuple):
    v: Floats
    a: Floats


class Given(NamedTuple):
    kernel: Floats
    weighted: Floats
    total: Floats
    z: Floats


class Gradients(NamedTuple):
    decay_mem: Floats
    decay_adapt: Floats
    v_threshold: Floats
    beta_adapt: Floats
