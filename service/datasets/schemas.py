"""Datasets as they come out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class ClassView(BaseModel):
    name: str
    n_samples: int | None = Field(description="Of an uploaded dataset, its test set included.")


class DatasetView(BaseModel):
    """Something to train on."""

    name: str
    kind: str = Field(description="The `kind` of a job spec's `dataset`.")
    state: Literal["available", "downloadable", "uploaded"] = Field(
        description="`downloadable`: workers fetch it when a job needs it, unless they have it."
    )
    description: str
    format: Literal["arrays", "images", "events"] | None = Field(description="Of the uploaded file.")
    shape: list[int] | None = Field(
        description="Of one sample; of events the number of addresses. Null where the spec decides, as for images of "
        "different sizes."
    )
    n_samples: int | None
    n_classes: int | None = Field(description="Null where samples have no classes, or the spec decides.")
    classes: list[ClassView] | None = Field(description="Of an uploaded dataset.")
    sizes: dict[str, int] | None = Field(description="Samples of each split by default.")
    size_bytes: int | None = Field(description="Of the uploaded file.")
    sha256: str | None
    created_at: datetime | None
    spec: dict[str, Any] = Field(description="A `dataset` for a job spec, complete or to be completed.")
