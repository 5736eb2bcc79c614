"""LIF and adaptive LIF neurons as one pure function of input, state and parameters.

With the decay d = exp(-dt / tau_mem), input factor g and the current I of this step (Bellec et al. 2018; Renner 2020,
eqs. 2.4-2.8, with the threshold counted once):

    a[t] = r a[t-1] + (1 - r) z[t-1]                r = exp(-dt / tau_adapt)
    threshold[t] = v_threshold + beta_adapt a[t]
    v[t] = d v[t-1] + g I[t] - threshold[t-1] z[t-1]      reset 'subtract', timing 'next_step'
    z[t] = H(v[t] - threshold[t]), unless a spike came in the last n_refractory steps

A LIF neuron is the case beta_adapt = 0. `v` is the potential before its reset, so a trace of it shows what crossed the
threshold. Timing 'same_step' resets first and leaks then, v[t] = d (v[t-1] - threshold[t-1] z[t-1]) + g I[t]; reset
'value' puts v_reset in the place of v. Refractory neurons integrate, and the mask carries no gradient. Non-negative
potentials are cut off, v[t] = max(0, v[t]), before they are compared.

Smoothed neurons (Gerum & Schilling 2021, section 2.3) have sigmoids in the place of H, of a width for the spikes and
another for the reset: sigmoid((v[t-1] - threshold[t-1]) / reset_width) stands where z[t-1] stands above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from snncore import spec
from snncore.surrogates import SpikeFunction


@dataclass(frozen=True, slots=True)
class NeuronParameters:
    """The neurons of a layer: a vector `[N]` for what each has of its own, a value for what they share."""

    decay_mem: Tensor
    input_scale: Tensor
    v_threshold: Tensor
    decay_adapt: Tensor
    beta_adapt: Tensor
    n_refractory: Tensor
    reset: Literal["subtract", "value", "none"]
    v_reset: float
    reset_timing: Literal["next_step", "same_step"]
    detach_reset: bool
    adaptive: bool
    refractory: bool
    non_negative: bool = False
    reset_width: float | None = None
    """Of smoothed neurons, whose reset is a share of its own, sigmoid((v - threshold) / reset_width), not the spike."""


TRAINABLE = ("decay_mem", "input_scale", "v_threshold", "decay_adapt", "beta_adapt")
"""The fields of `NeuronParameters` that a gradient can reach."""


class NeuronState(NamedTuple):
    """What a layer carries from one step to the next, each `[B, N]`."""

    v: Tensor
    """Membrane potential before the reset of its own spike."""
    z: Tensor
    """Spikes, 0 or 1."""
    a: Tensor
    """Adaptation, in spikes a step."""
    wait: Tensor
    """Refractory steps left, int32."""


def neuron_parameters(
    neuron: spec.LIF | spec.ALIF | spec.Mixed, n_neurons: int, dt_ms: float, *, dtype: torch.dtype, device: torch.device
) -> NeuronParameters:
    """The parameters of a layer of `n_neurons`, its populations in the order of the spec."""
    rows: list[tuple[float, ...]] = []
    for count, member in spec.split_layer(neuron, n_neurons):
        decay = math.exp(-dt_ms / member.tau_mem_ms)
        scale = {"plain": 1.0, "one_minus_decay": 1 - decay, "dt_over_tau": dt_ms / member.tau_mem_ms}
        decay_adapt = math.exp(-dt_ms / member.tau_adapt_ms) if member.kind == "alif" else 0.0
        beta_adapt = member.beta_adapt if member.kind == "alif" else 0.0
        row = (decay, scale[member.input_scaling], member.v_threshold, decay_adapt, beta_adapt, member.n_refractory)
        rows += [row] * count
    columns = torch.tensor(rows, dtype=torch.float64).T
    decay_mem, input_scale, v_threshold, decay_adapt_all, beta_adapt_all = columns[:5].to(device=device, dtype=dtype)
    form = spec.form_of(neuron)
    return NeuronParameters(
        decay_mem=decay_mem,
        input_scale=input_scale,
        v_threshold=v_threshold,
        decay_adapt=decay_adapt_all,
        beta_adapt=beta_adapt_all,
        n_refractory=columns[5].to(device=device, dtype=torch.int32),
        reset=form.reset,
        v_reset=form.v_reset,
        reset_timing=form.reset_timing,
        detach_reset=form.detach_reset,
        adaptive=bool(columns[4].any()),
        refractory=bool(columns[5].any()),
        non_negative=form.non_negative,
        reset_width=None if form.smoothing is None else form.smoothing.reset_width,
    )


def resting_state(batch: int, parameters: NeuronParameters) -> NeuronState:
    """Everything at zero, as before any input."""
    like = parameters.decay_mem
    zeros = like.new_zeros(batch, like.numel())
    return NeuronState(zeros, zeros, zeros, torch.zeros_like(zeros, dtype=torch.int32))


def step(current: Tensor, state: NeuronState, parameters: NeuronParameters, spike: SpikeFunction) -> NeuronState:
    """One time step: `current` `[B, N]` in, the next state out."""
    p, (v, z, a, wait) = parameters, state
    threshold_then = p.v_threshold + p.beta_adapt * a if p.adaptive else p.v_threshold
    reset_z = z if p.reset_width is None else torch.sigmoid((v - threshold_then) / p.reset_width)
    reset_z = reset_z.detach() if p.detach_reset else reset_z
    incoming = p.input_scale * current

    same_step = p.reset_timing == "same_step"
    match p.reset:
        case "subtract":
            drop = (threshold_then.detach() if p.detach_reset else threshold_then) * reset_z
            v = p.decay_mem * (v - drop) + incoming if same_step else p.decay_mem * v + incoming - drop
        case "value":
            rest = v * (1 - reset_z)
            level = p.v_reset * reset_z
            v = p.decay_mem * (rest + level) + incoming if same_step else p.decay_mem * rest + level + incoming
        case "none":
            v = p.decay_mem * v + incoming
    if p.non_negative:
        v = torch.relu(v)

    threshold = p.v_threshold
    if p.adaptive:
        a = p.decay_adapt * a + (1 - p.decay_adapt) * z
        threshold = p.v_threshold + p.beta_adapt * a
    z = spike(v, threshold)
    if p.refractory:
        z = z * (wait == 0)
        wait = torch.where(z.detach() > 0.5, p.n_refractory, (wait - 1).clamp_min(0))
    return NeuronState(v, z, a, wait)
