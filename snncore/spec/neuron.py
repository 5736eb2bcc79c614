"""Neuron models and their surrogate gradients.

Every choice on which libraries silently disagree is a field with its default, so that a spec says all there is to
say about the dynamics. The equations are those of `snncore.neurons`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from snncore.spec.base import Part, PositiveMs

Dampening = Annotated[float, Field(gt=0, le=100, description="Height of the pseudo-derivative at the threshold.")]


class Zero(Part):
    """0 everywhere: no gradient passes a spike (the ablation `none` of Gerum & Schilling 2021). What comes after the
    spikes still learns. It has neither a height nor a width."""

    kind: Literal["zero"]


class Constant(Part):
    """`dampening` everywhere, so that there is no width: the straight-through estimator (Bengio et al. 2013).

    `dampening` 1 is `flat` of Gerum & Schilling 2021 and `straight_through_estimator` of snnTorch.
    """

    kind: Literal["constant"]
    dampening: Dampening = 0.3


class _Surrogate(Part):
    dampening: Dampening = 0.3
    width: float = Field(
        default=1.0, ge=1e-9, le=1e3, description="Its scale along the potential, in the units of the scaled potential."
    )


class Triangle(_Surrogate):
    """`dampening * max(0, 1 - |x| / width)`: zero from `width` on (Esser et al. 2016; Bellec et al. 2018).

    Where others name another, at threshold 1: Norse `triangle` with alpha is `dampening` alpha, `width` 1;
    SpikingJelly `PiecewiseQuadratic` is `dampening` alpha, `width` 1 / alpha; Spyx `triangular` with k and `esser` of
    tf_spiking with beta are `dampening` 1, `width` 1 / k and 1 / beta.
    """

    kind: Literal["triangle"]


class FastSigmoid(_Surrogate):
    """`dampening / (1 + |x| / width)**2`: a quarter of its height at `width` (SuperSpike, Zenke & Ganguli 2018).

    Elsewhere, at threshold 1: snnTorch `fast_sigmoid` with slope k (25), Spyx `superspike` with k (25, the default of
    its neurons) and `superspike` of tf_spiking with beta (10) are `dampening` 1, `width` 1 / k. SpikingJelly `SoftSign`
    is `dampening` alpha / 2, `width` 1 / alpha. SuperSpike with an alpha (100 in Norse) is `dampening` 1,
    `width` 1 / alpha; Norse 1.1 does not use its alpha and is `width` 1.
    """

    kind: Literal["fast_sigmoid"]


class Arctan(_Surrogate):
    """`dampening / (1 + (x / width)**2)`: half of its height at `width` (Fang et al. 2021).

    Elsewhere, at threshold 1: snnTorch `atan` (the default of its neurons) and SpikingJelly `ATan` are `dampening`
    alpha / 2, `width` 2 / (pi alpha), which is 1 and 1 / pi at their alpha = 2. Spyx `arctan` is `dampening` 1 / pi,
    `width` 1 / (pi k).
    """

    kind: Literal["arctan"]


class Gaussian(_Surrogate):
    """`dampening * exp(-(x / width)**2 / 2)`: `width` is its standard deviation.

    SpikingJelly `Erf` is `dampening` alpha / sqrt(pi), `width` 1 / (alpha sqrt(2)), at threshold 1.
    """

    kind: Literal["gaussian"]


class Boxcar(_Surrogate):
    """`dampening` where `|x| <= width`, else 0.

    Elsewhere, at threshold 1: Spyx `boxcar` is `dampening` height, and its width is twice `width`; SpikingJelly `Rect`
    is `dampening` alpha, `width` 1 / (2 alpha).
    """

    kind: Literal["boxcar"]


class Sigmoid(_Surrogate):
    """`dampening * 4 s (1 - s)` with `s = 1 / (1 + exp(-x / width))`: 79 % of its height at `width`.

    Elsewhere, at threshold 1: SpikingJelly `Sigmoid` with alpha (4, the default of its LIF) and snnTorch `sigmoid` with
    slope (25) are `dampening` slope / 4, `width` 1 / slope. `sigmoid` of tf_spiking lacks that factor: with beta (10)
    it is `dampening` 0.25, `width` 1 / beta. Spyx and Norse `tanh` with k are `dampening` 1, `width` 1 / (2 k).
    """

    kind: Literal["sigmoid"]


class Exponential(_Surrogate):
    """`dampening * exp(-|x| / width)`: 37 % of its height at `width` (SLAYER, Shrestha & Orchard 2018).

    SpikingJelly `PiecewiseExp` is `dampening` alpha / 2, `width` 1 / alpha, at threshold 1.
    """

    kind: Literal["exponential"]


class MultiGaussian(_Surrogate):
    """A Gaussian of standard deviation `width` less two wide ones at `x = width` and `x = -width`, so that it is
    negative far from the threshold (Yin, Corradi & Bohte 2021).

    Theirs is gamma [(1 + h) N(x | 0, s^2) - h N(x | s, (a s)^2) - h N(x | -s, (a s)^2)]. Here s is `width`, h is
    `lobe_height`, a is `lobe_width`, and in the place of gamma stands `dampening`, the height at x = 0, which theirs is
    gamma [1 + h - (2 h / a) exp(-1 / (2 a^2))] / (s sqrt(2 pi)). In their code gamma = s = 0.5, h = 0.15 and a = 6:
    that is `dampening` 0.4391, `width` 0.5.
    """

    kind: Literal["multi_gaussian"]
    lobe_height: float = Field(default=0.15, ge=0, le=1, description="Their h, the share of each negative Gaussian.")
    lobe_width: float = Field(
        default=6.0, ge=1, le=100, description="Their a, the standard deviation of the negative Gaussians over `width`."
    )


Surrogate = Annotated[
    Triangle | FastSigmoid | Arctan | Gaussian | Boxcar | Constant | Zero | Sigmoid | Exponential | MultiGaussian,
    Field(discriminator="kind"),
]


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
