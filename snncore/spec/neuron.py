"""Neuron models.

Every choice on which libraries silently disagree is a field with its default, so that a spec says all there is to
say about the dynamics. The equations are those of `snncore.neurons`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from snncore.spec.base import Part, PositiveMs
from snncore.spec.surrogate import Constant, Surrogate, Triangle


class Smoothing(Part):
    """A sigmoid in the place of each hard threshold in the forward pass, and its own derivative on the way back
    (Gerum & Schilling 2021, section 2.3). Spikes become numbers between 0 and 1; narrower is closer to the hard neuron,
    and the gradient vanishes on the way there."""

    output_width: float = Field(
        default=0.01, ge=1e-9, le=1e3, description="z = sigmoid((v - threshold) / output_width), in the units of v."
    )
    reset_width: float = Field(
        default=0.004, ge=1e-9, le=1e3, description="The same for the share of v that the next step resets."
    )


class _LeakyIntegrator(Part):
    tau_mem_ms: PositiveMs = Field(default=20.0, description="Membrane time constant.")
    v_threshold: float = Field(default=1.0, gt=0, le=1e6)
    input_scaling: Literal["plain", "one_minus_decay", "dt_over_tau"] = Field(
        default="plain",
        description="Factor on the input current: 1, 1 - exp(-dt/tau_mem), or dt/tau_mem.",
    )
    reset: Literal["subtract", "value", "none"] = Field(
        default="subtract", description="A spike subtracts the threshold, sets v to v_reset, or leaves v alone."
    )
    v_reset: float = Field(default=0.0, ge=-1e6, le=1e6, description="Used by reset 'value' only.")
    reset_timing: Literal["next_step", "same_step"] = Field(
        default="next_step",
        description="'next_step': the reset enters the next update beside the leak; "
        "'same_step': v is reset at the spike, and the leak acts on what is left.",
    )
    detach_reset: bool = Field(default=False, description="Whether the reset is cut out of the gradient.")
    fires_at: Literal["greater_equal", "greater"] = Field(
        default="greater_equal", description="How v is compared with the threshold."
    )
    n_refractory: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Steps after a spike in which no other can follow; v goes on integrating.",
    )
    non_negative: bool = Field(
        default=False, description="Whether v is cut off at 0 in every step, v = max(0, v), before it is compared."
    )
    surrogate: Surrogate = Triangle(kind="triangle")
    surrogate_scaling: Literal["scaled", "raw"] = Field(
        default="scaled",
        description="The surrogate is a function of x = (v - threshold) / threshold. 'scaled' is its exact chain rule "
        "(dz/dv = h(x) / threshold, and a gradient to the threshold); 'raw' takes dz/dv = h(x).",
    )
    smoothing: Smoothing | None = Field(
        default=None, description="Smooth instead of hard spikes; absent: hard ones. Needs training.engine 'reference'."
    )


class LIF(_LeakyIntegrator):
    """Leaky integrate-and-fire neuron."""

    kind: Literal["lif"]


class ALIF(_LeakyIntegrator):
    """LIF whose threshold rises by `beta_adapt * a`, `a` being a low-pass of its own spikes (Bellec et al. 2018)."""

    kind: Literal["alif"]
    tau_adapt_ms: PositiveMs = Field(default=200.0, description="Time constant of the adaptation.")
    beta_adapt: float = Field(default=1.0, ge=0, le=1e6, description="Rise of the threshold at a = 1.")


class Population(Part):
    """A part of a mixed layer."""

    proportion: float = Field(
        gt=0, le=1e9, description="Size relative to the other populations; counts are rounded by largest remainder."
    )
    neuron: Annotated[LIF | ALIF, Field(discriminator="kind")]


class Mixed(Part):
    """A layer of several populations, in this order. Time constants, thresholds, adaptation and refractory steps are
    free in each; the form of the dynamics (reset, input scaling, surrogate, smoothing) is one for the whole layer."""

    kind: Literal["mixed"]
    populations: list[Population] = Field(min_length=2, max_length=16)


class Range(Part):
    """Each value is drawn uniformly from `low` to `high`."""

    low: float = Field(ge=-1e6, le=1e6)
    high: float = Field(ge=-1e6, le=1e6)


def _number_or_range(value: Any) -> str:
    return "range" if isinstance(value, dict | Range) else "number"


InitialValue = Annotated[
    Annotated[float, Tag("number"), Field(ge=-1e6, le=1e6)] | Annotated[Range, Tag("range")],
    Discriminator(_number_or_range),
]


class LIFUnit(Part):
    """Leaky integrate-and-fire unit with trainable input and leak weights (Gerum & Schilling 2020, eqs. 10 and 11).

        v[t] = w_input x[t] + (1 - w_leak) v[t-1] (1 - y[t-1])
        y[t] = H(v[t] - v_threshold)

    The reset is cut out of the gradient, unless it is smoothed; the surrogate takes dy/dv = h(x). A `w_leak` that
    training moves out of [0, 1] is put back to its border after each update.
    """

    kind: Literal["lif_unit"]
    w_input: InitialValue = Field(default=0.5, description="Initial weight of the input: dt / C.")
    w_leak: InitialValue = Field(default=0.1, description="Initial share of v that leaks at each step: dt / (R C).")
    sharing: Literal["unit", "channel", "layer"] = Field(
        default="unit",
        description="Whether each unit has weights of its own, or those of its image channel, or of the whole layer.",
    )
    trained: Literal["both", "w_input", "w_leak", "none"] = Field(default="both", description="Which of the weights.")
    v_threshold: float = Field(default=1.0, gt=0, le=1e6)
    non_negative: bool = Field(default=False, description="Whether v is cut off at 0 in every step (tf_spiking).")
    surrogate: Surrogate = Constant(kind="constant", dampening=1.0)
    smoothing: Smoothing | None = Field(
        default=None, description="Smooth instead of hard spikes; absent: hard ones. Needs training.engine 'reference'."
    )


SMALLEST_THRESHOLD = 1e-3


class LayerLIF(Part):
    """LIF neurons that share one leak and one threshold, both of which are trained (DIET-SNN, Rathi & Roy 2020).

        u[t] = leak u[t-1] + I[t] - v_threshold o[t-1]
        o[t] = H(u[t] / v_threshold - 1), with H(0) = 0

    The surrogate is a function of x = u / v_threshold - 1, with its exact chain rule: du gets h(x) / v_threshold,
    dv_threshold -h(x) u / v_threshold^2, beside what it gets through the reset. After each update `leak` is put back
    into [0, 1], and `v_threshold` to 0.001 at least.
    """

    kind: Literal["layer_lif"]
    leak: float = Field(default=1.0, ge=0, le=1, description="Initial share of u that is left after a step.")
    v_threshold: float = Field(default=1.0, ge=SMALLEST_THRESHOLD, le=1e6, description="Initial threshold.")
    trained: Literal["both", "leak", "v_threshold", "none"] = Field(default="both", description="Which of the two.")
    reset_timing: Literal["next_step", "same_step"] = Field(
        default="next_step",
        description="'next_step': the equation above; 'same_step': the reset comes with the spike and the leak acts on "
        "what is left, leak (u[t-1] - v_threshold o[t-1]), as in the published code.",
    )
    surrogate: Surrogate = Triangle(kind="triangle")


Neuron = Annotated[LIF | ALIF | Mixed | LIFUnit | LayerLIF, Field(discriminator="kind")]

SHARED_IN_A_LAYER = (
    "input_scaling",
    "reset",
    "v_reset",
    "reset_timing",
    "detach_reset",
    "fires_at",
    "non_negative",
    "surrogate",
    "surrogate_scaling",
    "smoothing",
)


def form_of(neuron: LIF | ALIF | Mixed) -> LIF | ALIF:
    """The neuron whose shared fields hold for the whole layer."""
    return neuron.populations[0].neuron if isinstance(neuron, Mixed) else neuron


def split_layer(neuron: LIF | ALIF | Mixed, n_neurons: int) -> Iterator[tuple[int, LIF | ALIF]]:
    """How many neurons of a layer of `n_neurons` belong to each population, by largest remainder."""
    if not isinstance(neuron, Mixed):
        yield n_neurons, neuron
        return
    total = sum(population.proportion for population in neuron.populations)
    exact = [population.proportion / total * n_neurons for population in neuron.populations]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: n_neurons - sum(counts)]:
        counts[i] += 1
    yield from zip(counts, (population.neuron for population in neuron.populations), strict=True)
