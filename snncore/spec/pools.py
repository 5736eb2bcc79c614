"""Pools of neurons that are taught by spikes, and the accumulators that decide (modelled on Beyeler et al. 2013).

The equations are those of `snncore.plasticity.pools`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part, PositiveMs, UnitCount

RateHz = Annotated[float, Field(gt=0, le=1e5)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
SampleCount = Annotated[int, Field(ge=1, le=10_000_000)]
Calcium = Annotated[float, Field(ge=0, le=1e6)]


class PoolNeuron(Part):
    """The leaky integrate-and-fire neurons of the pools: every input spike adds `input_gain` times its weight to v."""

    tau_mem_ms: PositiveMs = Field(default=20.0, description="Membrane time constant.")
    input_gain: float = Field(default=0.12, gt=0, le=1e6, description="Rise of v at a spike through a weight of 1.")
    v_threshold: float = Field(default=1.0, gt=0, le=1e6)
    v_reset: float = Field(default=0.0, ge=-1e6, le=1e6, description="What a spike sets v to, before the next leak.")
    n_refractory: int = Field(
        default=2,
        ge=0,
        le=10_000,
        description="Steps after a spike in which no other can follow; v goes on integrating.",
    )


class Decision(Part):
    """An accumulator for each pool counts its spikes, leaks, and falls with the spikes of the others. The first one at
    the bound is the answer, and the time until then the reaction time; where none gets there, the sample is missed,
    which counts as wrong."""

    duration_ms: PositiveMs = Field(
        default=500.0,
        description="How long a sample is shown when its class is asked for; learning has the encoding's.",
    )
    tau_ms: PositiveMs = Field(default=50.0, description="Time constant of the leak.")
    cross_inhibition: float = Field(default=0.2, ge=0, le=1e3, description="Fall at a spike of another pool.")
    bound: float = Field(default=12.0, gt=0, le=1e9, description="In spikes: higher is slower and more often right.")
    n_compared: SampleCount = Field(
        default=1_000,
        description="Answered samples of the training and of the test split whose reaction times are compared; as many "
        "of both, fewer where a split has fewer. With more of them smaller differences become significant.",
    )


class DecisionPools(Part):
    """A pool of `pool_size` neurons for each class, all-to-all synapses from the input, and accumulators that decide.

    Initial weights are uniform between 0 and `initial_weight`.
    """

    kind: Literal["decision_pools"]
    pool_size: UnitCount = Field(default=10, description="Neurons of each class.")
    neuron: PoolNeuron = PoolNeuron()
    initial_weight: float = Field(default=0.05, ge=0, le=1e6, description="The largest; the mean is half of it.")
    decision: Decision = Decision()


class CalciumWindows(Part):
    """Where a neuron learns: while its calcium, a trace of its own and of its teacher's spikes, is within the windows
    (after Brader, Senn & Fusi 2007, whose constants these are)."""

    tau_ms: PositiveMs = Field(default=60.0, description="Time constant of the trace, which a spike raises by 1.")
    up_from: Calcium = Field(default=3.0, description="Weights rise from here")
    up_to: Calcium = Field(default=13.0, description="to here,")
    down_from: Calcium = Field(default=3.0, description="and fall from here")
    down_to: Calcium = Field(default=4.0, description="to here.")


class TeacherSTDP(Part):
    """Supervised plasticity from spike to spike: the pool of the right class has a teacher.

    At a teacher's spike the weights of its neuron rise by `learning_rate` times the traces of their inputs, at a spike
    of the neuron itself they fall as much, so that the own rate settles at the taught one: that of the teacher in the
    right pool, none in the others. Teachers do not drive their neurons. Samples are learned one after the other, so
    that batches are only the steps in which a run counts.
    """

    kind: Literal["teacher_stdp"]
    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(
        default=100, ge=1, le=65_536, description="Samples a step. What is learned does not depend on it."
    )
    teacher_rate_hz: RateHz = Field(default=100.0, description="Of the Poisson spikes of each teacher, one a neuron.")
    learning_rate: float = Field(default=0.002, gt=0, le=1e3)
    learning_rate_decay: float = Field(default=1.0, gt=0, le=1, description="Factor on it after each epoch.")
    tau_trace_ms: PositiveMs = Field(default=20.0, description="Time constant of the inputs' traces.")
    w_min: Weight = -1.0
    w_max: Weight = 1.0
    calcium: CalciumWindows | None = Field(
        default=None, description="Learning stops where a neuron is sure, or has no say; absent: it never does."
    )
    precision: Literal["float32", "float64"] = "float32"
    final_weights: Literal["best", "last"] = Field(
        default="best",
        description="What is tested at the end: those of the epoch with the best accuracy on the validation split, or "
        "those of the last epoch.",
    )
    n_measured: SampleCount = Field(
        default=5_000,
        description="Training samples, the first so many, that are decided on after each epoch and at the end; the "
        "other splits are decided on as a whole.",
    )
    checkpoint_every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Keep a 'periodic' checkpoint every so many epochs."
    )
    log_every_steps: int = Field(default=10, ge=1, le=1_000_000, description="Distance of the points of batch series.")
