"""What the network is asked to do: targets, loss and metric."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part, UnitCount

RateHz = Annotated[float, Field(gt=0, le=1e5)]


class Borders(Part):
    """Rates that stand for zero and one: up to `zero_hz`, and from `one_hz` on; what lies between costs either.

    The loss of an output is `max(0, rate - zero_hz)` where it should be zero and `max(0, one_hz - rate)` where it
    should be one (Renner 2020, section 4.3).
    """

    zero_hz: float = Field(default=20.0, ge=0, le=1e5)
    one_hz: RateHz = 50.0


class _NamesClasses(Part):
    loss: Literal["cross_entropy", "mse", "rate_mse", "straight_through", "borders"] = Field(
        default="cross_entropy",
        description="'cross_entropy' and 'mse' compare the softmax of the outputs with the class and its one-hot code; "
        "'rate_mse' the output rates over rate_scale_hz with that code; 'straight_through' the winner, with the "
        "gradient of the softmax, with that code; 'borders' wants the rate of the class high and the others low.",
    )
    rate_scale_hz: RateHz = Field(default=200.0, description="The rate that stands for 1 ('rate_mse').")
    borders: Borders = Field(default=Borders(), description="Of the loss 'borders'.")


class Classification(_NamesClasses):
    """Name the class of each sample. The metric is the share of samples whose largest output is their class."""

    kind: Literal["classification"]


class Recall(_NamesClasses):
    """Name the class of each frame that has one, as the recall slots of `store_recall` do. The loss is a mean over
    these frames, and the metric is the share of them in which the largest output is the class."""

    kind: Literal["recall"]


class Softmax(Part):
    """Output rates that are the softmax of the input (Renner 2020, section 4.1).

    Targets are `rate_scale_hz * softmax(f(x))` with f by `mapping`: the identity, a random matrix `N(20, 5**2)` drawn
    once a run, or the first half of x minus the second. The loss is half the squared error of the rates in Hz,
    summed over outputs; the metric is the share of samples whose largest rate is at the largest target, and ties are
    wrong.
    """

    kind: Literal["softmax"]
    mapping: Literal["identity", "linear", "difference"] = "identity"
    n_outputs: UnitCount
    rate_scale_hz: float = Field(default=200.0, gt=0, le=1e5)


class KWinners(Part):
    """Output rates that tell the `k` largest inputs from the others (Renner 2020, section 4.3).

    The loss is that of the `borders`, summed over outputs. A sample counts as right if the rates of all winners lie
    above `decision_hz` and those of all others do not.
    """

    kind: Literal["k_winners"]
    n_outputs: UnitCount
    k: UnitCount
    borders: Borders = Borders()
    decision_hz: float = Field(
        default=20.0,
        ge=0,
        le=1e5,
        description="The border between zeros and ones. The loss leaves an output that might be a winner, but rather "
        "is "
        "none, at borders.zero_hz: below this border by a margin, if it is to be right in spite of its noise.",
    )


Task = Annotated[Classification | Recall | Softmax | KWinners, Field(discriminator="kind")]


def has_class_probabilities(task: Task) -> bool:
    """Whether the softmax of the outputs is taken for the probabilities of classes."""
    return isinstance(task, Classification | Recall) and task.loss not in ("rate_mse", "borders")
