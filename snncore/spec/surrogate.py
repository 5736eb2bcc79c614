"""Surrogates: what stands for the derivative of a spike. Their equations are in `snncore.surrogates`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part

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
