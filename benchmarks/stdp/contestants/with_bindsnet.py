"""BindsNET's `DiehlAndCook2015`, set up as in its own examples for MNIST: 350 steps of 1 ms, Poisson input of up to 128
Hz, its spikes recorded, all state reset after each batch.

Two things are done so that its version 0.3.4 can be imported, and none to what it computes. `bindsnet/__init__.py`
imports all of the package, for which it would need Gymnasium, OpenCV, pandas and others: a package without that file
takes its place. And 0.3.4 asks for torch 2.14 but runs on 2.13, which is what everybody else here has.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.stdp.contestants import Training

N_NEURONS, STEPS, HIGHEST_HZ = 400, 350, 128.0


def _import() -> tuple[Any, Any, Any]:
    found = importlib.util.find_spec("bindsnet")
    assert found is not None
    package = ModuleType("bindsnet")
    package.__path__ = list(found.submodule_search_locations or [])
    sys.modules["bindsnet"] = package
    import bindsnet.network  # first: its modules import each other in a circle
    from bindsnet.encoding import poisson
    from bindsnet.models import DiehlAndCook2015

    return DiehlAndCook2015, poisson, bindsnet.network.monitors.Monitor


class Learning:
    """The network, the images and a clock."""

    def __init__(self, images: str, batch: int) -> None:
        model, self.poisson, monitor = _import()
        torch.manual_seed(0)
        pixels = np.load(images)["x"].astype(np.float32) / 255
        self.images = torch.as_tensor(pixels * HIGHEST_HZ, dtype=torch.float32, device="cpu").unsqueeze(1)
        self.batch, self.done = batch, 0
        self.encoding_s, self.all_s = 0.0, 0.0
        self.network = model(
            n_inpt=784,
            n_neurons=N_NEURONS,
            exc=22.5,
            inh=120,
            dt=1.0,
            norm=78.4,
            nu=(1e-4, 1e-2),
            theta_plus=0.05,
            inpt_shape=(1, 28, 28),
            batch_size=batch,
        )
        self.spikes = monitor(self.network.layers["Ae"], ["s"], time=STEPS)
        self.network.add_monitor(self.spikes, name="Ae_spikes")
        self.latest = 0.0

    def learn(self, n_images: int) -> None:
        for _ in range(-(-n_images // self.batch)):
            start = time.perf_counter()
            which = [(self.done + k) % len(self.images) for k in range(self.batch)]
            spikes = torch.stack([self.poisson(self.images[i], time=STEPS, dt=1.0) for i in which], dim=1)
            encoded = time.perf_counter()
            self.network.run(inputs={"X": spikes}, time=STEPS)
            self.latest = float(self.spikes.get("s").sum()) / self.batch
            self.network.reset_state_variables()
            self.done += self.batch
            self.encoding_s += encoded - start
            self.all_s += time.perf_counter() - start


def build(images: str, batch: int) -> Training:
    learning = Learning(images, batch)
    return Training(
        learn=learning.learn,
        learned=lambda: learning.done,
        spikes=lambda: learning.latest,
        versions={"bindsnet": importlib.metadata.version("bindsnet"), "torch": torch.__version__},
        share_encoding=lambda: learning.encoding_s / learning.all_s,
    )
