"""The compiled kernels of the networks that learn by their spikes, and the structs that they take, field by field as in
`kernels/*.h`."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_double, c_int, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from snncore.engines.cpu.native import library as scan_library
from snncore.errors import EngineUnavailable

LIBRARY = Path(__file__).with_name("libplasticity.so")
SUFFIX = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


class Cells(Structure):
    """A population of conductance-based neurons."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        *((name, c_double) for name in ("v_rest", "v_reset", "v_threshold", "e_exc", "e_inh")),
        *((name, c_double) for name in ("decay_exc", "decay_inh", "mean_exc", "mean_inh", "step")),
        ("n_refractory", c_int64),
    ]


class Plasticity(Structure):
    """A learning rule."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("kind", c_int64),
        ("additive", c_int64),
        *((name, c_double) for name in ("rate_pre", "rate_post", "w_max", "x_target", "exponent", "beta")),
        *((name, c_double) for name in ("beta_minus", "alpha_minus")),
        ("window", c_int64),
        ("decay_post", c_double),
        ("decay_post_slow", c_double),
        ("decay_pre", c_void_p),
        ("n_decays", c_int64),
    ]


class Network(Structure):
    """All that stays as it is."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        *((name, c_int64) for name in ("n_inputs", "n", "stride")),
        ("exc", Cells),
        ("inh", Cells),
        ("has_inhibitory", c_int64),
        ("w_exc_inh", c_double),
        ("w_inh_exc", c_double),
        ("one_spike", c_int64),
        ("theta_plus", c_double),
        ("decay_theta", c_double),
        ("total", c_double),
        ("rule", Plasticity),
        ("n_delays", c_int64),
        ("delay_starts", c_void_p),
        ("delay_targets", c_void_p),
    ]


class State(Structure):
    """Everything that changes."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        (name, c_void_p)
        for name in (
            *("weights", "changes", "theta", "theta_changes", "v", "g_exc", "g_inh", "waiting", "x_post"),
            *("x_post_slow", "v_i", "g_i", "waiting_i", "fired", "fired_i", "x_pre", "arrived", "now"),
        )
    ]


class Presentation(Structure):
    """One sample, as spikes."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("n_steps", c_int64),
        ("n_shown", c_int64),
        ("starts", c_void_p),
        ("inputs", c_void_p),
        ("learning", c_int64),
        *((name, c_void_p) for name in ("counts", "counts_inh", "raster", "raster_inh", "traces")),
    ]


class Course(Structure):
    """How samples are shown one after the other."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        *((name, c_int64) for name in ("n_shown", "n_rest", "clears")),
        ("chance", c_double),
        ("chance_raised", c_double),
        ("enough", c_int64),
        ("most_attempts", c_int64),
        ("key", c_uint64),
        ("learning", c_int64),
    ]


class Outcome(Structure):
    """What came of the samples."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        (name, c_void_p) for name in ("counts", "counts_inh", "attempts", "input_spikes")
    ]


@cache
def library() -> ctypes.CDLL:
    """The kernels; raises `EngineUnavailable` where they were not built, or for another processor."""
    scan_library()  # which looks whether this is the processor that all kernels were built for
    try:
        loaded = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise EngineUnavailable(
            f"the compiled kernels of networks that learn by their spikes are not there ({error}); reinstall with a C "
            "compiler"
        ) from error
    for suffix in SUFFIX.values():
        getattr(loaded, f"normalise_all_{suffix}").argtypes = [c_void_p, c_void_p]
        getattr(loaded, f"normalise_all_{suffix}").restype = None
        getattr(loaded, f"clear_{suffix}").argtypes = [c_void_p, c_void_p]
        getattr(loaded, f"clear_{suffix}").restype = None
        getattr(loaded, f"present_{suffix}").argtypes = [c_void_p] * 3
        getattr(loaded, f"present_{suffix}").restype = c_int64
        getattr(loaded, f"show_{suffix}").argtypes = [*[c_void_p] * 5, c_int64, c_void_p]
        getattr(loaded, f"show_{suffix}").restype = c_int
        getattr(loaded, f"present_pools_{suffix}").argtypes = [c_void_p, c_void_p]
        getattr(loaded, f"present_pools_{suffix}").restype = c_int
    loaded.draw_spikes.argtypes = [
        c_void_p,
        c_int64,
        c_int64,
        c_uint64,
        c_uint64,
        c_uint32,
        c_int64,
        c_void_p,
        c_void_p,
    ]
    loaded.draw_spikes.restype = c_int64
    return loaded


def pointer(array: np.ndarray[Any, Any] | None) -> int | None:
    """Where the numbers of a contiguous array are; None for none."""
    if array is None:
        return None
    if not array.flags.c_contiguous:
        raise ValueError("the kernels take contiguous arrays")
    return array.ctypes.data
