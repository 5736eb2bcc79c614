"""Samples as jobs of the thesis record them: spikes at plausible rates, and readings that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.client import RasterInfo, Reading, ReceptiveFields, ReceptiveFieldsInfo, Spikes
from service.client.pictures import Sample
from service.client.pictures.sample import Panel

SEED = 3  # of every sample, so that none depends on which were drawn before it


def panel(layer: str, spikes: NDArray[np.bool_], dt_ms: float = 1.0, **more: Any) -> Panel:
    n_steps, n_neurons = spikes.shape
    info = {
        "id": f"ras_{layer}",
        "epoch": 50,
        "split": "test",
        "layer": layer,
        "sample": 0,
        "n_steps": n_steps,
        "n_neurons": n_neurons,
        "dt_ms": dt_ms,
        "n_spikes": int(spikes.sum()),
        **more,
    }
    steps, neurons = np.nonzero(spikes)
    return RasterInfo.of(info), Spikes((steps * dt_ms).astype(np.float32), neurons.astype(np.uint32))


def firing(random: np.random.Generator, rates_hz: NDArray[np.float64], n_steps: int) -> NDArray[np.bool_]:
    """Poisson spikes `[n_steps, N]` of rates `[N]` or `[n_steps, N]`."""
    fired: NDArray[np.bool_] = random.random((n_steps, rates_hz.shape[-1])) < rates_hz / 1000
    return fired


def softmax_sample(n: int = 10, wrong: bool = False) -> Sample:
    random = np.random.default_rng(SEED)
    x = random.exponential(0.5, n)
    target = 200 * np.exp(x) / np.exp(x).sum()
    output = np.clip(target + random.normal(0, 2, n), 0, None)
    output[int(np.argmax(target))] = output.max() + 1
    if wrong:
        output[int(np.argmin(target))] = 1.2 * output.max()
    layers = [
        panel("input", firing(random, np.repeat(200 * x.clip(max=5), 10), 300)),
        panel("hidden", firing(random, np.full(50, 110.0), 300)),
        panel("output", firing(random, np.repeat(output, 10), 300)),
    ]
    reading = Reading(
        windows_ms=[(30.0, 300.0)],
        outputs=[output.tolist()],
        targets=[target.tolist()],
        unit="Hz",
        labels=[int(target.argmax())],
        predictions=[int(output.argmax())],
    )
    return Sample(layers, reading)


def k_winners_sample(n: int = 16, k: int = 3) -> Sample:
    random = np.random.default_rng(SEED)
    x = random.exponential(0.5, n)
    winners = np.argsort(-x)[:k]
    output = random.uniform(2, 17, n)
    output[winners] = random.uniform(52, 66, k)
    output[winners[-1]] = 14.0
    target = np.zeros(n)
    target[winners] = 1.0
    layers = [
        panel("input", firing(random, np.repeat(100 * x, 10), 400)),
        panel("hidden", firing(random, np.full(50, 60.0), 400)),
        panel("output", firing(random, np.repeat(output, 10), 400)),
    ]
    reading = Reading(
        windows_ms=[(100.0, 400.0)],
        outputs=[output.tolist()],
        targets=[target.tolist()],
        unit="Hz",
        labels=[winners.tolist()],
        predictions=[winners[:-1].tolist()],
        borders_hz=[20.0, 50.0],
    )
    return Sample(layers, reading)


SLOTS = ["v2", "store1", "v0", "v3", "recall", "v1", "store3", "recall", "v2", "v0", "store0", "recall"]


def recall_sample(embedded: bool = True, slots: Sequence[str] = SLOTS, wrong: int = 7) -> Sample:
    """Four values in slots of 200 ms; the recall in slot `wrong` is answered wrongly."""
    random = np.random.default_rng(SEED)
    slot_ms, n_values = 200, 4
    rates_hz = np.zeros((len(slots) * slot_ms, 150))
    labels: list[int | None] = []
    stored = 0
    for index, slot in enumerate(slots):
        part = rates_hz[index * slot_ms : (index + 1) * slot_ms].reshape(slot_ms, 6, 25)
        if slot[-1].isdigit():
            part[:, int(slot[-1])] = 50.0
        if slot.startswith("store"):
            part[:, 4] = 50.0
            stored = int(slot[-1])
        if slot == "recall":
            part[:, 5] = 50.0
        labels.append(stored if slot == "recall" else None)
    outputs = random.uniform(0.05, 0.4, (len(slots), n_values))
    for index, label in enumerate(labels):
        if label is not None:
            outputs[index, (label + 1) % n_values if index == wrong else label] = 0.9
    n_steps = len(rates_hz)
    layers = [
        panel("input", firing(random, rates_hz, n_steps)),
        panel("hidden", firing(random, np.full(40, 15.0), n_steps)),
    ]
    if embedded:
        answers = np.repeat(np.repeat(200 * outputs, slot_ms, axis=0), 10, axis=1)
        layers += [
            panel("embedded.input", firing(random, answers / 2, n_steps)),
            panel("embedded.hidden", firing(random, np.full(50, 50.0), n_steps)),
            panel("output", firing(random, answers, n_steps)),
        ]
    targets = np.zeros_like(outputs)
    for index, label in enumerate(labels):
        if label is not None:
            targets[index, label] = 1.0
    reading = Reading(
        windows_ms=[(float(i * slot_ms), float((i + 1) * slot_ms)) for i in range(len(slots))],
        outputs=outputs.tolist(),
        targets=targets.tolist(),
        labels=labels,
        predictions=[int(row.argmax()) for row in outputs],
    )
    return Sample(layers, reading)


def every_step_sample(prediction: int = 3, n_steps: int = 20, current: bool = False) -> Sample:
    """Two spiking layers, and ten classes of which one becomes the likeliest as time goes by; the right one is 3."""
    random = np.random.default_rng(SEED)
    outputs = random.normal(0, 0.3, (n_steps, 10))
    outputs[:, prediction] += np.linspace(0, 5, n_steps)
    layers = [
        panel("hidden_1", firing(random, np.full(60, 80.0), n_steps)),
        panel("hidden_2", firing(random, np.full(20, 120.0), n_steps)),
    ]
    reading = Reading(
        windows_ms=[(float(t), float(t + 1)) for t in range(n_steps)],
        outputs=outputs.tolist(),
        labels=[3],
        predictions=[prediction],
        input=random.random(n_steps).tolist() if current else None,
    )
    return Sample(layers, reading)


def sequence_sample(side: int = 28, prediction: int = 0, last_step_only: bool = False) -> Sample:
    """A ring of ink, which is a 0."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[:side, :side] / (side - 1) - 0.5
    ink = np.exp(-(((np.hypot(x, y * 0.8) - 0.25) / 0.07) ** 2)).round(3)
    n_steps = side * side
    rates_hz = 5 + 60 * np.repeat(ink.reshape(-1, 1), 240, axis=1) * random.random(240)
    outputs = random.normal(0, 0.4, 10)
    outputs[prediction] = 2.1
    reading = Reading(
        windows_ms=[(n_steps - 1.0, float(n_steps)) if last_step_only else (n_steps - 400.0, float(n_steps))],
        outputs=[outputs.tolist()],
        targets=[np.eye(10)[0].tolist()],
        labels=[0],
        predictions=[prediction],
        input=ink.ravel().tolist(),
    )
    return Sample([panel("hidden", firing(random, rates_hz, n_steps))], reading)


def digit_fields(n: int = 40, classes: bool = True) -> tuple[ReceptiveFieldsInfo, ReceptiveFields]:
    """Rings of ink as neurons learn them, of which each stands for a class and every seventh for none."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[:28, :28] / 27 - 0.5
    radius, aspect = random.uniform(0.1, 0.35, (2, n, 1, 1))
    ink = np.exp(-(((np.hypot(x, y * (0.6 + aspect)) - radius) / 0.08) ** 2)) * random.random((n, 28, 28))
    labels = np.where(np.arange(n) % 7 == 0, -1, random.integers(0, 10, n))
    info = {
        "id": "rcf_1",
        "epoch": 3,
        "step": 300,
        "layer": "excitatory",
        "n_neurons": n,
        "n_features": 784,
        "shape": [28, 28, 1],
        "low": float(ink.min()),
        "high": float(ink.max()),
    }
    weights = ink.reshape(n, -1).astype(np.float32)
    return ReceptiveFieldsInfo.of(info), ReceptiveFields(
        np.arange(n, dtype=np.uint32), weights, labels if classes else None
    )


def decisions(wrong: int = 120) -> dict[str, Any]:
    """Right answers at about 33 ms, wrong ones at about 70 ms, on two splits."""
    random = np.random.default_rng(SEED)
    edges = np.linspace(0, 500, 51)
    splits = {}
    for split, n in (("train", 1000), ("test", 900)):
        times = {"correct": random.gamma(4, 9, n), "wrong": random.gamma(4, 18, wrong)}
        splits[split] = {
            "n": n + wrong + 9,
            "n_missed": 9,
            "histograms": {which: np.histogram(found, edges)[0].tolist() for which, found in times.items()},
            "median_ms": {which: float(np.median(found)) if len(found) else None for which, found in times.items()},
            "correct_against_wrong": {"d": 0.53, "p": 1e-36, "n": [n, wrong]} if wrong else None,
            "fast_error_share": 0.2,
        }
    return {
        "bound": 12.0,
        "edges_ms": edges.tolist(),
        "splits": splits,
        "train_against_test": {"d": 0.07, "p": 0.054, "n": [900, 900]},
    }


def conversion_outcome() -> dict[str, Any]:
    return {
        "ann": {"train": {"accuracy": 0.999, "loss": 0.01}, "test": {"accuracy": 0.993, "loss": 0.03}},
        "converted": [{"steps": 5, "accuracy": 0.906}, {"steps": 100, "accuracy": 0.989}],
        "fine_tuned": {"train": {"accuracy": 0.998, "loss": 0.01}, "test": {"accuracy": 0.992, "loss": 0.03}},
    }


CONFUSION = [[90, 2, 8], [1, 99, 0], [20, 30, 50]]
CONFUSED = [
    {"true": 2, "predicted": 1, "count": 30, "share": 0.3},
    {"true": 2, "predicted": 0, "count": 20, "share": 0.2},
]
