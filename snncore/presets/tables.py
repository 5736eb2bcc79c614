"""The tables of the sources, as data: which preset is which row, and what was published. Imports no torch.

They live in `tables.yaml` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a job's result. `value` and `ceiling` are dotted paths into it."""

    name: str
    title: str
    value: str
    digits: int
    unit: str = ""
    ceiling: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment. `published` and `ceiling` go by the names of metrics."""

    label: str
    preset: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    ceiling: Mapping[str, float] = field(default_factory=dict)
    best: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Experiments that belong together. `head` says what tells its rows apart."""

    id: str
    title: str
    source: str
    head: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    compared_with: str = "published"


@cache
def _all() -> tuple[Table, ...]:
    content = yaml.safe_load(files("snncore.presets").joinpath("tables.yaml").read_text(encoding="utf-8"))
    metrics = {name: Metric(name=name, **fields) for name, fields in content["metrics"].items()}
    return tuple(
        Table(
            **{
                **fields,
                "metrics": tuple(metrics[name] for name in fields["metrics"]),
                "rows": tuple(Row(**row) for row in fields["rows"]),
            }
        )
        for fields in content["tables"]
    )


def list_tables() -> list[Table]:
    """All tables, in the order of the sources."""
    return list(_all())
