"""Receptive fields as they come out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from service.store.tables import ReceptiveField

# A list rather than a tuple: generators of requests stumble over tuples that may be null.
Shape = Annotated[list[int], Field(min_length=3, max_length=3)]


class ReceptiveFieldsView(BaseModel):
    """The receptive fields of a layer at a moment, without their weights."""

    id: str
    epoch: int
    step: int
    layer: str
    n_neurons: int
    n_features: int
    shape: Shape | None = Field(
        description="Height, width and channels of the picture that the features are; null: they are none."
    )
    low: float | None = Field(description="The smallest weight.")
    high: float | None = Field(description="The largest weight.")
    labels: list[int | None] | None = Field(
        description="The class that each neuron stands for, null for those without; null where neurons have no classes."
    )


class FieldWeights(BaseModel):
    """Weights, a row for each neuron. A number that was not finite is null."""

    neurons: list[int] = Field(description="Which neurons the rows are of.")
    labels: list[int | None] | None = Field(description="The class of each of them.")
    shape: Shape | None = Field(description="Height, width and channels that a row is in this order.")
    weights: list[list[float | None]]


def view_of(row: ReceptiveField) -> ReceptiveFieldsView:
    return ReceptiveFieldsView.model_validate(row, from_attributes=True)
