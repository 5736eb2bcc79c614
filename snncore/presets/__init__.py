"""The experiments of the literature as data: one YAML file each, with its source and its published numbers.

A preset `renner/softmax-exp-4` lives in `renner/softmax-exp-4.yaml` beside this file. A file may extend another: its
spec is merged into the other's, part by part, and it needs what the other needs unless it says so itself; titles and
numbers are its own. `quick` makes a second preset `NAME@quick`, a variant of a few minutes; what it needs are quick
variants too. Where both files have a `quick`, the second one's is merged into the first one's.

A preset with a `grid` or `seeds`, which are its own too, is a sweep: its spec is the job that the points of the grid
start from. The quick variant is a sweep over the same unless `quick` has a `grid` or `seeds` itself. Imports no torch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from snncore.spec import JobSpec, deep_merge, embeddable, parse_job_spec

QUICK = "@quick"
EMBEDDED_JOB = "architecture.embedded.job"


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
    """A named job. `spec` is resolved, every default filled in; `expected_minutes` is on two cores, of one job."""

    name: str
    title: str
    reproduces: str
    source: str
    expected_minutes: float
    spec: dict[str, Any]
    """Where the preset needs another job, without `architecture.embedded.job` and what follows from that job."""
    published: Published | None = None
    ceiling: Published | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    """Places in the spec (dotted) that take the id of a job of the preset that is named."""
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    """Places in the spec (dotted), each with the values to take, if this is a sweep: all combinations are run."""
    seeds: list[int] = field(default_factory=list)
    """What each of them is run with."""

    def parse(self) -> JobSpec:
        """The job. Raises `SpecError` where the preset needs another job first."""
        return parse_job_spec(self.spec)


@cache
def _all() -> dict[str, Preset]:
    files_by_name = {
        name: yaml.safe_load(file.read_text(encoding="utf-8")) for name, file in _walk(files(__name__), "")
    }
    made: dict[str, Preset] = {}

    def make(name: str) -> Preset:
        if name not in made:
            content = _content(name, files_by_name)
            needs = content.get("needs", {})
            made[name] = _preset(name, content, {path: make(needed) for path, needed in needs.items()})
        return made[name]

    for name, content in files_by_name.items():
        make(name)
        if "quick" in content:
            make(f"{name}{QUICK}")
    return dict(sorted(made.items()))


def _content(name: str, files_by_name: Mapping[str, Any]) -> dict[str, Any]:
    """What a preset's file says: on top of the preset that it `extends`, and with its `quick` part for a quick one."""
    own = _extended(name.removesuffix(QUICK), files_by_name)
    quick = dict(own.pop("quick", {}))
    if name.endswith(QUICK):
        own["title"] = f"{own['title']}, quick"
        own["spec"] = deep_merge(own["spec"], quick.pop("spec", {}))
        own["needs"] = {path: f"{needed}{QUICK}" for path, needed in own.get("needs", {}).items()}
        own |= quick
    return own


def _extended(name: str, files_by_name: Mapping[str, Any]) -> dict[str, Any]:
    """A file on top of the one that it extends."""
    own = dict(files_by_name[name])
    if (base := own.pop("extends", None)) is not None:
        inherited = _extended(base, files_by_name)
        own["spec"] = deep_merge(inherited["spec"], own.get("spec", {}))
        own["quick"] = deep_merge(inherited.get("quick", {}), own.get("quick", {}))
        if "needs" in inherited and "needs" not in own:
            own["needs"] = inherited["needs"]
    return own


def _preset(name: str, content: dict[str, Any], needed: Mapping[str, Preset]) -> Preset:
    """The preset with its spec resolved; a stand-in for each job that it needs is taken out again."""
    document = copy.deepcopy(content["spec"])
    for path, preset in needed.items():
        if path != EMBEDDED_JOB:
            raise ValueError(f"preset {name}: a job can stand at {EMBEDDED_JOB} only, not at {path}")
        network = embeddable(preset.parse()).model_dump(mode="json")
        document["architecture"]["embedded"] |= {"job": "stand-in", "network": network}
    spec = parse_job_spec(document).model_dump(mode="json")
    if needed:
        for key in ("job", "network"):
            del spec["architecture"]["embedded"][key]
    for key in ("published", "ceiling"):
        if key in content:
            content[key] = Published(**content[key])
    return Preset(name=name, **{**content, "spec": spec})


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
