"""The presets as data: complete, resolvable, with their sources."""

from __future__ import annotations

from typing import Any

import pytest

from snncore.presets import QUICK, get_preset, list_presets
from snncore.spec import deep_merge, embeddable, estimate, parse_job_spec

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
