"""The CIFAR presets of DIET-SNN, on files of the published layout that are made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snncore import train
from snncore.datasets import cifar
from snncore.events import Finished
from snncore.presets import get_preset
from snncore.spec import ann_twin, deep_merge, parse_job_spec, placed_layers
from tests.snncore.cifar_files import SMALL, write

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {
    "dataset": {"n_train": 40, "n_validation": 10, "n_test": 10},
    "training": {
        "epochs": 1,
        "batch_size": 20,
        "ann": {"epochs": 2, "batch_size": 20},
        "conversion": {"n_samples": 20, "steps": 6, "compared": [{"steps": 7}]},
    },
}


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    images = {i: draw.integers(0, 256, (32, 32, 3), np.uint8) for i in range(60)}
    write(tmp_path, SMALL, images, {i: bytes([i % 10]) for i in range(60)})
    monkeypatch.setattr(cifar, "CIFAR10", SMALL)
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path))
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["diet/cifar10-vgg6@quick", "diet/cifar10-resnet20@quick"])
def test_the_quick_presets_train_convert_and_train_on(name: str) -> None:
    (*_, last) = train(parse_job_spec(deep_merge(get_preset(name).spec, FEW)))
    assert isinstance(last, Finished)
    conversion = last.result["conversion"]
    assert len(conversion["thresholds"]) == len(conversion["leaks"]) >= 4
    assert all(layer["initial"] > 0 for layer in conversion["thresholds"].values())
    assert any(name.startswith("residual_1_") for name in conversion["leaks"]) == ("resnet" in name)
    assert sum(conversion["spikes_per_neuron"].values()) > 0


def test_the_networks_are_those_of_the_published_code() -> None:
    """VGG6 ends in two layers of 4,096 behind 8 x 8 images of 128 channels, ResNet20 in images of 2 x 2 pixels and 512
    channels; 20 layers have weights, beside the shortcuts."""
    vgg, resnet = (get_preset(f"diet/cifar10-{name}").parse() for name in ("vgg6", "resnet20"))
    wide = [part.before.n for part in placed_layers(vgg) if part.layer.kind == "dense"]
    assert wide == [8 * 8 * 128, 4096]
    layers = placed_layers(resnet)
    assert layers[-1].after.image == (2, 2, 512)
    convolutions = [part for part in layers if part.layer.kind == "conv2d"]
    shortcuts = [part for part in convolutions if "shortcut" in part.name]
    assert len(convolutions) - len(shortcuts) + 1 == 20
    assert len(shortcuts) == 3
    assert ann_twin(resnet).n_training_steps == 300 * -(-45_000 // 128)
