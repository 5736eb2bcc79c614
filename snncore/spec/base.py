"""What all parts of a job spec have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A part of a job spec: immutable, strict about types, closed to unknown fields, free of NaN and infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


PositiveMs = Annotated[float, Field(gt=0, le=1e7)]
NonNegativeMs = Annotated[float, Field(ge=0, le=1e7)]
UnitCount = Annotated[int, Field(ge=1, le=65_536)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
