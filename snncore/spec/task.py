"""What the network is asked to do: targets, loss and metric."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import Part, UnitCount


class Classification(Part):
    """Name the class of each sample. The metric is the share of samples whose largest output is their class."""

    kind: Literal["classification"]
    loss: Literal["cross_entropy", "mse"] = Field(
        default="cross_entropy", description="Of the softmax of the outputs, against the class or its one-hot code."
    )


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


Task = Annotated[Classification | Softmax, Field(discriminator="kind")]
