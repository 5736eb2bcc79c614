"""Our presets, trained by `snncore.train` as the service does it: events are made, checkpoints are not due yet."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stdp.contestants import Training
from snncore import train
from snncore.datasets.uploaded import place_of
from snncore.events import Metric, Progress
from snncore.presets import get_preset
from snncore.spec import deep_merge, parse_job_spec


def uploaded(images: str) -> dict[str, Any]:
    """The `dataset` of a job, whose file is put where the worker of the service puts it."""
    sha256 = hashlib.sha256(Path(images).read_bytes()).hexdigest()
    place_of(sha256).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(images, place_of(sha256))
    contents = {"sha256": sha256, "format": "arrays", "shape": [28, 28], "values": "uint8", "low": 0.0, "high": 1.0}
    n = len(np.load(images)["y"])
    return {
        "kind": "uploaded",
        "name": "images",
        "validation_fraction": 0,
        "test_fraction": 0.01,
        "contents": contents | {"n_samples": n, "n_classes": 10},
    }


class Learning:
    """A run that is taken event by event."""

    def __init__(self, preset: str, images: str, batch: int, changes: dict[str, Any]) -> None:
        document = deep_merge(get_preset(preset).spec, changes)
        training = {"batch_size": batch, "final_weights": "last", "labelling": {"n_samples": None}}
        training |= {"evaluate_every": None, "log_every_steps": max(1, 100 // batch)}
        document = deep_merge(document, {"training": training, "recording": {"kind": "none"}})
        self.job = parse_job_spec(document | {"dataset": uploaded(images)})
        self.batch, self.done, self.spikes = batch, 0, 0.0
        self.events = train(self.job)

    def learn(self, n_images: int) -> None:
        """Stops at the end of an epoch, where an evaluation would be timed: there are more images than that."""
        wanted = self.done + n_images
        while self.done < wanted:
            match next(self.events):
                case Progress(step=step, steps=steps):
                    self.done = step * self.batch
                    assert step < steps
                case Metric(name="spikes_per_sample", value=value):
                    self.spikes = value


def training(preset: str, images: str, batch: int, changes: dict[str, Any] | None = None) -> Training:
    learning = Learning(preset, images, batch, changes or {})
    return Training(
        learn=learning.learn,
        learned=lambda: learning.done,
        spikes=lambda: learning.spikes,
        versions={"spikesmith": importlib.metadata.version("spikesmith")},
        share_encoding=lambda: None,
    )
