"""The points of a grid: what each sets, and where the request says so."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from service.problems import FieldProblem
from service.sweeps.schemas import SweepSubmission
from snncore.spec import nested

PRESET = "preset"
"""The path that stands for the preset to start from."""

LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """A field, its value, and the place of the value in the request."""

    key: str
    value: Any
    loc: tuple[str | int, ...]

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.key.split("."))


Point: TypeAlias = tuple[Choice, ...]


def size(request: SweepSubmission) -> int:
    """How many points there are."""
    return max(1, len(request.points)) * math.prod(map(len, request.grid.values()))


def expand(request: SweepSubmission) -> list[Point]:
    """All points: each of `points` with all combinations of the grid, the last field changing quickest."""
    together: list[Point] = [
        tuple(Choice(key, value, ("points", index, key)) for key, value in point.items())
        for index, point in enumerate(request.points)
    ]
    axes = [
        [Choice(key, value, ("grid", key, index)) for index, value in enumerate(values)]
        for key, values in request.grid.items()
    ]
    return [(*point, *rest) for point in together or [()] for rest in itertools.product(*axes)]


def values_of(point: Point) -> dict[str, Any]:
    return {choice.key: choice.value for choice in point}


def changes_of(point: Point) -> dict[str, Any]:
    """What a point sets in the spec, as one nested mapping: a `kind` and the fields that belong to it go together."""
    return nested({choice.key: choice.value for choice in point if choice.key != PRESET})


def describe(values: Mapping[str, Any]) -> str:
    """`strength = 50, preset = digits/lsnn`: a point in a few words."""
    return ", ".join(f"{key.rpartition('.')[2]} = {text_of(value)}" for key, value in values.items())


def text_of(value: Any, longest: int | None = LONGEST_VALUE) -> str:
    """A value of a grid as people write it, cut where it gets too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def misuse(request: SweepSubmission) -> Iterator[FieldProblem]:
    """What is wrong with a grid whatever the spec is."""
    yield from _sources(request)
    yield from _keys(request)
    for key, values in request.grid.items():
        yield from _repeated(("grid", key), values)
    yield from _repeated(("points",), request.points)
    yield from _repeated(("seeds",), request.seeds)


def _sources(request: SweepSubmission) -> Iterator[FieldProblem]:
    """The jobs start from a spec, a preset, or the presets of the grid."""
    presets: list[tuple[str | int, ...]] = [("grid", PRESET)] if PRESET in request.grid else []
    presets += [("points", index, PRESET) for index, point in enumerate(request.points) if PRESET in point]
    given = [name for name in ("spec", "preset") if getattr(request, name) is not None]
    if not given and not presets:
        msg = "a sweep starts from a spec or a preset, or has presets in its grid: give one of them"
        yield FieldProblem(loc=["spec"], msg=msg, type="missing")
    sources: list[tuple[str | int, ...]] = [*((name,) for name in given), *presets]
    for loc in sources[1:] if given else ():
        msg = f"cannot go with {given[0]!r}: a job starts from one of them"
        yield FieldProblem(loc=list(loc), msg=msg, type="ambiguous")
    if request.spec is not None and request.overrides:
        msg = "go with a preset; change the spec itself instead"
        yield FieldProblem(loc=["overrides"], msg=msg, type="ambiguous")


def _keys(request: SweepSubmission) -> Iterator[FieldProblem]:
    """No field is set twice, and every point sets the same ones."""
    of_points = list(request.points[0]) if request.points else []
    for index, point in enumerate(request.points):
        if set(point) != set(of_points):
            msg = f"every point has to set the same fields; the first one sets {', '.join(of_points)}"
            yield FieldProblem(loc=["points", index], msg=msg, type="value_error")
    places: list[tuple[str, list[str | int]]] = [(key, ["grid", key]) for key in request.grid]
    places += [(key, ["points", 0, key]) for key in of_points]
    for key, loc in places:
        if key.split(".")[0] == "seed":
            yield FieldProblem(loc=loc, msg="seeds go into `seeds`", type="value_error")
    for (one, _), (other, loc) in itertools.combinations(places, 2):
        if _contains(one, other) or _contains(other, one):
            outer, inner = sorted((one, other), key=len)
            msg = f"{outer} contains {inner}, so that both set the same field" if outer != inner else "is set twice"
            yield FieldProblem(loc=loc, msg=msg, type="value_error")


def _contains(outer: str, inner: str) -> bool:
    return f"{inner}.".startswith(f"{outer}.")


def _repeated(loc: tuple[str | int, ...], values: Iterable[Any]) -> Iterator[FieldProblem]:
    first: dict[Any, int] = {}
    for index, value in enumerate(values):
        before = first.setdefault(_hashable(value), index)
        if before != index:
            msg = f"{text_of(value)} is there already, as number {before + 1}"
            yield FieldProblem(loc=[*loc, index], msg=msg, type="duplicate")


def _hashable(value: Any) -> Any:
    """Equal for values that are the same in JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return isinstance(value, bool), value
