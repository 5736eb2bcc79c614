"""The presets as data: complete, resolvable, with their sources."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from snncore.presets import QUICK, Preset, _content, get_preset, list_presets
from snncore.spec import deep_merge, embeddable, estimate, nested, parse_job_spec

THESIS = {
    *(f"renner/softmax-exp-{n}" for n in (4, 8, 10, 12, 16, 24, 32)),
    "renner/softmax-reg-10",
    *(f"renner/softmax-linear-{size}" for size in ("8x4", "14x10", "16x12", "24x16", "32x24")),
    *(f"renner/softmax-negative-{size}" for size in ("8x4", "20x10", "32x16", "48x24", "64x32")),
    *(f"renner/kwta-{n}-{k}" for n in (5, 10, 16, 24, 32) for k in (1, 3)),
    "renner/store-recall",
    "renner/store-recall-softmax-network",
    "renner/store-recall-kwta-network",
    "renner/seqmnist",
    "renner/seqmnist-softmax-network",
}


def runnable(name: str) -> dict[str, Any]:
    """The spec of a preset, with the network of a job of the preset that it needs."""
    preset = get_preset(name)
    spec = preset.spec
    for path, needed in preset.needs.items():
        assert path == "architecture.embedded.job"
        network = embeddable(parse_job_spec(runnable(needed))).model_dump(mode="json")
        spec = deep_merge(spec, {"architecture": {"embedded": {"job": "job_1", "network": network}}})
    return spec


def test_every_experiment_of_the_thesis_has_a_preset_and_a_quick_one() -> None:
    names = {preset.name for preset in list_presets()}
    assert names >= THESIS
    assert names >= {f"{name}{QUICK}" for name in THESIS}


@pytest.mark.parametrize("name", [preset.name for preset in list_presets()])
def test_every_preset_is_a_job_that_fits_a_machine(name: str) -> None:
    preset = get_preset(name)
    job = parse_job_spec(runnable(name))
    assert estimate(job).peak_memory_bytes < 8 * 2**30
    assert preset.title
    assert preset.reproduces
    assert preset.source
    assert preset.expected_minutes > 0


def points_of(preset: Preset) -> Iterator[dict[str, Any]]:
    """What each point of a sweep sets in the spec."""
    return (nested(dict(zip(preset.grid, values, strict=True))) for values in itertools.product(*preset.grid.values()))


@pytest.mark.parametrize("name", [preset.name for preset in list_presets() if preset.grid or preset.seeds])
def test_every_point_of_a_preset_that_is_a_sweep_is_a_job_of_its_own(name: str) -> None:
    preset = get_preset(name)
    jobs = [parse_job_spec(deep_merge(runnable(name), changes)) for changes in points_of(preset)]
    assert len(jobs) == len({job.model_dump_json() for job in jobs})
    assert all(estimate(job).peak_memory_bytes < 8 * 2**30 for job in jobs)
    assert len(set(preset.seeds)) == len(preset.seeds)
    assert not {"seed", "preset"} & set(preset.grid)


def test_a_grid_belongs_to_the_preset_whose_file_has_it() -> None:
    assert get_preset("digits/surrogates").seeds == [0, 1, 2]
    assert get_preset("digits/surrogates").grid["neuron.surrogate"][0] == {"kind": "triangle"}
    assert (get_preset("digits/lsnn").grid, get_preset("digits/lsnn").seeds) == ({}, [])


FILES: Mapping[str, Any] = {
    "a/base": {
        "title": "base",
        "expected_minutes": 9,
        "spec": {"training": {"epochs": 9, "batch_size": 4}},
        "grid": {"training.epochs": [1, 2]},
        "quick": {"expected_minutes": 1, "spec": {"training": {"epochs": 2, "schedule": {"kind": "step"}}}},
    },
    "a/longer": {"title": "longer", "expected_minutes": 20, "extends": "a/base"},
    "a/other": {
        "title": "other",
        "expected_minutes": 30,
        "extends": "a/longer",
        "grid": {"training.epochs": [3, 4]},
        "seeds": [0, 1],
        "quick": {"seeds": [0], "spec": {"training": {"schedule": {"kind": "cosine"}}}},
    },
}


def test_a_quick_part_is_merged_into_that_of_the_preset_that_is_extended() -> None:
    quick = _content("a/other@quick", FILES)
    assert quick["spec"] == {"training": {"epochs": 2, "batch_size": 4, "schedule": {"kind": "cosine"}}}
    assert (quick["title"], quick["expected_minutes"]) == ("other, quick", 1)
    assert (quick["grid"], quick["seeds"]) == ({"training.epochs": [3, 4]}, [0])
    assert _content("a/other", FILES)["spec"] == {"training": {"epochs": 9, "batch_size": 4}}
    assert _content("a/base@quick", FILES)["spec"]["training"]["schedule"] == {"kind": "step"}, "nothing was changed"


def test_a_preset_that_says_nothing_of_quick_has_no_quick_one() -> None:
    assert "grid" not in _content("a/longer", FILES)
    names = {preset.name for preset in list_presets()}
    assert "best/softmax-exp-10" in names
    assert f"best/softmax-exp-10{QUICK}" not in names


def test_a_quick_preset_needs_quick_presets() -> None:
    assert get_preset("renner/store-recall-softmax-network").needs == {
        "architecture.embedded.job": "renner/softmax-reg-4"
    }
    quick = get_preset("renner/store-recall-softmax-network@quick")
    assert quick.needs == {"architecture.embedded.job": "renner/softmax-reg-4@quick"}
    assert "job" not in quick.spec["architecture"]["embedded"]


def test_an_extending_preset_changes_what_it_says_and_nothing_else() -> None:
    base, other = get_preset("renner/softmax-exp-4").spec, get_preset("renner/softmax-exp-10").spec
    changed = {"task": {"n_outputs": 10}, "dataset": {"n_features": 10}}
    assert deep_merge(base, changed) == other
