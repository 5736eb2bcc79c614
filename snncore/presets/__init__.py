"""The experiments of the literature as data: one YAML file each, with its source and its published numbers.

A preset `renner/softmax-exp-4` lives in `renner/softmax-exp-4.yaml` beside this file. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from snncore.spec import JobSpec, parse_job_spec


class UnknownPreset(KeyError):
    """No preset has that name."""


@dataclass(frozen=True, slots=True)
class Published:
    """A number to compare with: the value of a final metric of a split."""

    metric: str
    split: str
    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A named job. `spec` is resolved, every default filled in; `expected_minutes` is on two cores."""

    name: str
    title: str
    reproduces: str
    source: str
    expected_minutes: float
    spec: dict[str, Any]
    published: Published | None = None
    ceiling: Published | None = None

    def parse(self) -> JobSpec:
        return parse_job_spec(self.spec)


@cache
def _all() -> dict[str, Preset]:
    presets = {}
    for name, file in _walk(files(__name__), ""):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for key in ("published", "ceiling"):
            if key in content:
                content[key] = Published(**content[key])
        content["spec"] = parse_job_spec(content["spec"]).model_dump(mode="json")
        presets[name] = Preset(name=name, **content)
    return dict(sorted(presets.items()))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif prefix and entry.name.endswith(".yaml"):  # beside the sources' folders lies tables.yaml, no preset
            found.append((f"{prefix}{entry.name.removesuffix('.yaml')}", entry))
    return found


def list_presets() -> list[Preset]:
    """All presets by name."""
    return list(_all().values())


def get_preset(name: str) -> Preset:
    """The preset of that name. Raises `UnknownPreset`, which names the nearest ones."""
    try:
        return _all()[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, _all(), n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UnknownPreset(f"there is no preset {name!r}{hint}") from None
