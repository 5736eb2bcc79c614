"""Shortened runs of the experiments of the literature: less than they can do, more than a broken network could."""

from __future__ import annotations

from typing import Any

import pytest
from safetensors.torch import load

from snncore import train
from snncore.events import Checkpoint, Finished
from snncore.presets import get_preset
from snncore.spec import deep_merge, embeddable, parse_job_spec
from tests.snncore.jobs import REAL_MNIST

pytestmark = pytest.mark.slow


def run(preset: str, changes: dict[str, Any], networks: dict[str, bytes] | None = None) -> tuple[dict[str, Any], bytes]:
    """The result of a preset with changes, and its best weights."""
    document = deep_merge(get_preset(preset).spec, deep_merge({"recording": {"kind": "none"}}, changes))
    result, best = None, b""
    for event in train(parse_job_spec(document), networks=networks):
        if isinstance(event, Finished):
            result = event.result
        elif isinstance(event, Checkpoint) and event.kind == "best":
            best = event.data
    assert result is not None
    return result, best


def test_a_network_learns_to_pick_the_winner() -> None:
    result, _ = run("renner/kwta-5-1@quick", {"training": {"epochs": 3}})
    test = result["metrics"]["test"]
    assert test["accuracy"] > 0.75
    assert test["accuracy"] < test["ceiling_accuracy"]


def test_an_lsnn_learns_to_store_and_recall() -> None:
    result, _ = run("renner/store-recall-original@quick", {"dataset": {"n_test": 256}})
    assert result["metrics"]["test"]["accuracy"] > 0.8  # chance is one half
    assert result["metrics"]["test"]["ceiling_accuracy"] == 1


def test_an_lsnn_learns_through_a_frozen_softmax_network() -> None:
    """Trained for a minute the softmax network is rough, and the gradient through it good enough to learn two
    values."""
    softmax = {"task": {"n_outputs": 2}, "dataset": {"n_features": 2}, "training": {"epochs": 3}}
    _, weights = run("renner/softmax-exp-4@quick", softmax)
    inner = deep_merge(
        get_preset("renner/softmax-exp-4@quick").spec, deep_merge(softmax, {"recording": {"kind": "none"}})
    )
    network = embeddable(parse_job_spec(inner)).model_dump(mode="json")
    changes = {
        "dataset": {"n_values": 2, "n_test": 256},
        "architecture": {"n_hidden": 20, "embedded": {"job": "softmax", "network": network}},
        "training": {"epochs": 6},
    }
    result, trained = run("renner/store-recall-softmax-network@quick", changes, {"softmax": weights})
    assert result["metrics"]["test"]["accuracy"] > 0.75
    before, after = load(weights), load(trained)
    for name in ("synapses.weight", "recurrence.weight"):
        assert after[f"network/layers.embedded.{name}"].equal(before[f"network/layers.hidden.{name}"])


@pytest.mark.skipif(not REAL_MNIST, reason="NO MNIST HERE: name a folder that holds mnist/ in SPIKESMITH_DATA")
def test_a_sparse_lsnn_learns_digits_pixel_by_pixel() -> None:
    part = {"n_train": 12_800, "n_validation": 200, "n_test": 500}
    result, best = run("renner/seqmnist-14x14-mean@quick", {"dataset": part, "training": {"epochs": 2}})
    assert result["metrics"]["test"]["accuracy"] > 0.45
    weight = load(best)["network/layers.hidden.recurrence.weight"]
    assert int(weight.count_nonzero()) == int(0.3 * 240 * 239)
