"""Learning curves as they come out."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from service.store.tables import MetricSeries


class Series(BaseModel):
    """One curve in figures."""

    name: str
    split: str
    unit: str
    better: str | None = Field(description="`min`, `max`, or null where neither is better.")
    count: int
    last: float | None
    last_step: int | None
    min: float | None
    max: float | None
    best_step: int | None


class Curve(BaseModel):
    """The points of a curve, as columns of equal length."""

    name: str
    split: str
    unit: str
    step: list[int]
    value: list[float | None] = Field(description="Null where the value was not finite.")
    time: list[datetime]


def series_of(row: MetricSeries) -> Series:
    return Series(
        name=row.name,
        split=row.split,
        unit=row.unit,
        better=row.better,
        count=row.count,
        last=row.last,
        last_step=row.last_step,
        min=row.min,
        max=row.max,
        best_step=row.best_step,
    )
