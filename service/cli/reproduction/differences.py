"""Where the settings of two jobs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from snncore.spec import SpecError, parse_job_spec

NO_SETTING = ("seed", "device", "recording", "training.engine", "architecture.embedded.job")
"""Paths in a spec that say where and how a job runs, not what it learns."""

FILLED_IN = ("architecture.embedded.network",)
"""What the service adds to a spec from the job that is embedded; the job itself is compared instead."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting as it should be and as it is, both as JSON text."""

    path: str
    wanted: str
    found: str


Differences: TypeAlias = tuple[Difference, ...]


def resolved(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with the defaults of fields that came after it. What today's rules refuse stays as it is."""
    try:
        return parse_job_spec(spec).model_dump(mode="json")
    except SpecError:
        return dict(spec)


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and what stands there. A list is one value; null is as good as absent."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from leaves(inner, f"{path}.")
        elif inner is not None:
            yield path, inner


def value_at(spec: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path, where elements of lists go by their numbers; None if there is nothing."""
    value: Any = spec
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Differences:
    """The settings in which two resolved specs differ, by path."""
    theirs, ours = dict(leaves(wanted)), dict(leaves(found))
    paths = sorted(path for path in theirs.keys() | ours.keys() if _is_setting(path))
    return tuple(
        Difference(path, _text(theirs.get(path)), _text(ours.get(path)))
        for path in paths
        if theirs.get(path) != ours.get(path)
    )


def _is_setting(path: str) -> bool:
    return not any(path == one or path.startswith(f"{one}.") for one in (*NO_SETTING, *FILLED_IN))


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
