"""The compiled kernels (`kernels/*.c`) and the structs that they take, field by field as in `kernels/scan.h`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import Structure, c_double, c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from snncore.errors import EngineUnavailable

LIBRARY = Path(__file__).with_name("libscan.so")


class Structs(NamedTuple):
    """The structs for one precision."""

    listed: type[Structure]
    synapses: type[Structure]
    source: type[Structure]
    feedback: type[Structure]
    layer: type[Structure]


def _struct(name: str, fields: list[tuple[str, Any]]) -> type[Structure]:
    return type(name, (Structure,), {"_fields_": fields})


def _structs(real: Any) -> Structs:
    def integers(*names: str) -> list[tuple[str, Any]]:
        return [(name, c_int64) for name in names]

    def pointers(*names: str) -> list[tuple[str, Any]]:
        return [(name, c_void_p) for name in names]

    listed = _struct("Listed", [*pointers("starts", "places", "values"), *integers("shortest", "span")])
    synapses = _struct(
        "Synapses",
        [
            *pointers("words", "numbers"),
            *integers("n_words", "lead", "n_numbers", "start", "n_pre", "n_delays"),
            *pointers("delays", "weights"),
            ("listed", listed),
        ],
    )
    source = _struct(
        "Source",
        [
            *pointers("words", "numbers"),
            *integers("n_words", "n_numbers", "silent", "n_pre"),
            *pointers("gradient"),
        ],
    )
    feedback = _struct(
        "Feedback",
        [
            *pointers("gradient", "later"),
            *integers("n_later", "n_pre", "n_post", "n_delays"),
            *pointers("delays", "by_sender", "by_receiver"),
            ("listed", listed),
        ],
    )
    layer = _struct(
        "Layer",
        [
            *integers("n_steps", "batch", "stride", "column", "width"),
            *pointers("tape", "words"),
            *integers("n_words", "lead"),
            *pointers("decay_mem", "input_scale", "v_threshold", "decay_adapt", "beta_adapt", "n_refractory"),
            *integers("reset", "same_step", "detach_reset", "adaptive", "refractory", "inclusive", "non_negative"),
            *integers("surrogate", "scaled"),
            *((name, real) for name in ("v_reset", "dampening", "surrogate_width", "lobe_height", "lobe_width")),
            *pointers("v", "a", "wait", "marked_a", "marked_wait"),
            ("input", synapses),
            ("recurrence", synapses),
            *pointers("bias", "total", "kernel", "weighted", "d_total", "d_weighted", "d_spikes"),
            *integers("n_given"),
            ("own", feedback),
            ("next", feedback),
            *pointers("dv", "da", "d_decay_mem", "d_v_threshold", "d_decay_adapt", "d_beta_adapt"),
        ],
    )
    return Structs(listed, synapses, source, feedback, layer)


STRUCTS: Mapping[torch.dtype, Structs] = {torch.float32: _structs(c_float), torch.float64: _structs(c_double)}
SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


@cache
def library() -> ctypes.CDLL:
    """The kernels; raises `EngineUnavailable` where they were not built."""
    try:
        loaded = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise EngineUnavailable(
            f"the compiled kernels of the fused engine are not there ({error}); reinstall with a C compiler, "
            "or take training.engine 'reference'"
        ) from error
    if not loaded.runs_here():
        raise EngineUnavailable(
            "the compiled kernels of the fused engine were built for another processor; reinstall here, or with "
            "SPIKESMITH_MARCH=portable, or take training.engine 'reference'"
        )
    loaded.segment_steps.restype = c_int64
    loaded.use_large_pages.argtypes, loaded.use_large_pages.restype = [c_void_p, c_int64], None
    loaded.count_spikes.argtypes, loaded.count_spikes.restype = [c_void_p, c_int64], c_int64
    for suffix in SUFFIX.values():
        for name in ("forward", "backward"):
            kernel = getattr(loaded, f"{name}_{suffix}")
            kernel.argtypes, kernel.restype = [c_void_p, c_int64, c_int64], c_int
        kernel = getattr(loaded, f"weight_gradients_{suffix}")
        kernel.argtypes, kernel.restype = [c_void_p, c_int64, c_void_p, *[c_int64] * 5], c_int
        kernel = getattr(loaded, f"project_{suffix}")
        kernel.argtypes, kernel.restype = [c_void_p, c_void_p, c_void_p, *[c_int64] * 4], c_int
    return loaded
