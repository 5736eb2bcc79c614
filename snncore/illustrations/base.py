"""What all illustrations have in common: parameters with ranges, results of arrays, and words about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from snncore.spec.base import Part

Floats: TypeAlias = NDArray[np.float64]

MOST_STEPS = 2_000


class Parameters(Part):
    """What a slider can change. Every field has a default and a range. A whole number may be written as 300.0."""

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given

        def whole(name: str, value: Any) -> bool:
            kind = cls.model_fields[name].annotation if name in cls.model_fields else None
            wants_number = kind is int or get_origin(kind) is Literal
            return wants_number and isinstance(value, float) and value.is_integer()

        return {name: int(value) if whole(name, value) else value for name, value in given.items()}


class Result(BaseModel):
    """What an illustration shows. Time is in steps; axes are time first."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Parameters)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Illustration(Generic[P, R]):
    """A figure as data: a function of its parameters and of nothing else."""

    name: str
    title: str
    shows: str
    source: str
    parameters: type[P]
    result: type[R]
    compute: Callable[[P], R]
    examples: tuple[dict[str, Any], ...] = ()
    """Parameters that are worth a look, beside the defaults."""


def _array(axes: int, item: dict[str, Any]) -> GetPydanticSchema:
    """A NumPy array in Python, nested lists in JSON."""
    schema = item
    for _ in range(axes):
        schema = {"type": "array", "items": schema}
    listed = core_schema.plain_serializer_function_ser_schema(lambda array: array.tolist(), when_used="json")
    return GetPydanticSchema(
        get_pydantic_core_schema=lambda _source, _handler: core_schema.any_schema(serialization=listed),
        get_pydantic_json_schema=lambda _core, _handler: dict(schema),
    )


_NUMBER: dict[str, Any] = {"type": "number"}
_INTEGER: dict[str, Any] = {"type": "integer"}

Vector = Annotated[Floats, _array(1, _NUMBER)]
Matrix = Annotated[Floats, _array(2, _NUMBER)]
Volume = Annotated[Floats, _array(3, _NUMBER)]
Integers = Annotated[NDArray[np.int64], _array(1, _INTEGER)]
IntegerMatrix = Annotated[NDArray[np.int64], _array(2, _INTEGER)]

WeightInput = Annotated[float, Field(ge=-10, le=10, description="Weight of the input, dt / C.")]
WeightLeak = Annotated[
    float, Field(ge=0, le=1, description="Share of the potential that is lost in a step, dt / (R C).")
]
Threshold = Annotated[float, Field(ge=0.01, le=100, description="Potential from which on the unit spikes.")]


class Stimulus(Parameters):
    """One input number a step."""

    steps: int = Field(default=60, ge=1, le=MOST_STEPS, description="Length in time steps.")
    pattern: Literal["constant", "impulses"] = Field(
        default="constant",
        description="`current` at every step, or only at impulses 11, 10, 9, ..., 1 steps apart, over and over.",
    )
    current: float = Field(default=0.45, ge=-100, le=100, description="Input, or the height of an impulse.")
    drawn_input: list[Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_STEPS,
        description="An input number for each step, in place of `steps`, `pattern` and `current`.",
    )

    @property
    def is_constant(self) -> bool:
        return self.drawn_input is None and self.pattern == "constant"

    def values(self) -> Floats:
        """The input `[T]`."""
        if self.drawn_input is not None:
            return np.array(self.drawn_input, dtype=np.float64)
        if self.pattern == "constant":
            return np.full(self.steps, self.current)
        gaps = np.resize(np.arange(11, 0, -1), self.steps)
        at = np.cumsum(gaps)
        values = np.zeros(self.steps)
        values[at[at < self.steps]] = self.current
        return values
