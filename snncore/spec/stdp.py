"""Learning by the times of spikes alone: spike-timing dependent plasticity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part, PositiveMs

GROUPS = 4
"""Parts of a batch whose changes are summed up apart, and then together: what is learned does not depend on how many
threads share them."""

Rate = Annotated[float, Field(ge=0, le=1)]


class _Rule(Part):
    tau_pre_ms: PositiveMs = Field(default=20.0, description="Of the trace of input spikes, x_pre.")
    traces: Literal["set", "add"] = Field(
        default="set",
        description="Whether a spike sets its trace to 1, as the published code does, or adds 1 to it, as the text has "
        "it.",
    )
    learning_rate: float = Field(default=0.01, gt=0, le=1, description="At spikes of the neuron.")


class _Depressing(_Rule):
    tau_post_ms: PositiveMs = Field(default=20.0, description="Of the trace of the neuron's spikes, x_post.")
    learning_rate_pre: Rate = Field(default=1e-4, description="At input spikes.")


class Triplet(_Depressing):
    """w -= learning_rate_pre x_post at an input spike; w += learning_rate x_pre x_slow at a spike of the neuron, x_slow
    being a second trace of its spikes as it was before this one (Pfister & Gerstner 2006; the published code)."""

    kind: Literal["triplet"]
    tau_post_slow_ms: PositiveMs = Field(default=40.0, description="Of the second trace, x_slow.")


class Pair(_Depressing):
    """w -= learning_rate_pre x_post at an input spike; w += learning_rate x_pre at a spike of the neuron."""

    kind: Literal["pair"]


class _Bounded(Part):
    x_target: float = Field(
        default=0.4, ge=0, le=100, description="The trace at which a weight stays: those of rarer inputs fall."
    )


class Power(_Bounded, _Rule):
    """w += learning_rate (x_pre - x_target) (w_max - w)**exponent at a spike of the neuron (Diehl & Cook, eq. 1)."""

    kind: Literal["power"]
    exponent: float = Field(default=0.2, ge=0, le=10)


class Exponential(_Bounded, _Rule):
    """w += learning_rate (x_pre exp(-beta w) - x_target exp(-beta (w_max - w))) at a spike of the neuron."""

    kind: Literal["exponential"]
    beta: float = Field(default=3.0, ge=0, le=100)


class Symmetric(_Bounded, _Depressing):
    """w -= learning_rate_pre x_post w**exponent at an input spike; at one of the neuron as `power`."""

    kind: Literal["symmetric"]
    exponent: float = Field(default=0.2, ge=0, le=10)


class Rectangular(Part):
    """At a spike of the neuron: w += learning_rate exp(-beta w) if the input has spiked within `window_ms`, else
    w -= depression exp(-beta_depression (w_max - w)) (Querlioz et al. 2013)."""

    kind: Literal["rectangular"]
    window_ms: PositiveMs = 20.0
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    beta: float = Field(default=3.0, ge=0, le=100)
    depression: Rate = 0.005
    beta_depression: float = Field(default=3.0, ge=0, le=100)


Plasticity = Annotated[Triplet | Pair | Power | Exponential | Symmetric | Rectangular, Field(discriminator="kind")]


class Labelling(Part):
    """Which class each neuron stands for: that whose training samples it answers with the most spikes on average.

    The samples are the first of the training split, shown with learning and thresholds frozen. A neuron that stays
    silent gets no class. The answer to a sample is the class whose neurons fire most on average.
    """

    n_samples: int | None = Field(default=None, ge=1, le=10_000_000, description="Null: the whole training split.")


class STDP(Part):
    """Unsupervised learning in a competitive network; classes are given to neurons afterwards."""

    kind: Literal["stdp"]
    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(
        default=1,
        ge=1,
        le=65_536,
        description="Samples that are shown at once to networks with the same weights; what they change is summed up.",
    )
    rule: Plasticity = Triplet(kind="triplet")
    w_max: float = Field(default=1.0, gt=0, le=1e3, description="Weights stay between 0 and this.")
    weight_total: float | None = Field(
        default=78.0,
        gt=0,
        le=1e7,
        description="What the weights of a neuron are scaled to sum up to, after each batch; null: not scaled.",
    )
    labelling: Labelling = Labelling()
    evaluate_every: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Training samples from one evaluation to the next, counted from the begin of an epoch; null: at "
        "the end of each epoch only.",
    )
    precision: Literal["float32", "float64"] = "float32"
    final_weights: Literal["best", "last"] = Field(
        default="best", description="What is tested at the end: the best by validation accuracy, or the last."
    )
    checkpoint_every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Keep a 'periodic' checkpoint every so many epochs."
    )
    log_every_steps: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Distance of the points of batch series."
    )
