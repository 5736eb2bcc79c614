"""The memory estimate of networks of layers in sequence against what a process takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from snncore.spec import estimate, parse_job_spec
from tests.snncore.hybrid_cases import sequential, spiking
from tests.snncore.image_cases import POOL, RELU, conv, dropout, lif, residual
from tests.snncore.jobs import tiny_job

MEASURE = """
import json, sys, torch
from snncore import train
from snncore.events import Progress
from snncore.spec import parse_job_spec
torch.set_num_threads(1)
def peak(): return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
run, warm = (train(parse_job_spec(json.loads(document))) for document in sys.argv[1:])
for event in warm: pass
before = peak()
for event in run:
    if isinstance(event, Progress) and event.step == 3: break
print(peak() - before)
"""


def job(layers: list[dict[str, Any]], duration_ms: float) -> dict[str, Any]:
    """Digits column by column."""
    columns = {"kind": "direct", "duration_ms": duration_ms, "frames": 8, "scan": "columns"}
    training = {"batch_size": 64, "final_weights": "last"}
    parts = sequential(layers, {"kind": "every_step"}, encoding=columns, recording={"kind": "none"})
    return tiny_job(**{**parts, "training": training})


def images(layers: list[dict[str, Any]], duration_ms: float) -> dict[str, Any]:
    """Digits as they are."""
    encoding = {"kind": "direct", "duration_ms": duration_ms}
    parts = sequential(layers, {"kind": "accumulator"}, encoding=encoding, recording={"kind": "none"})
    return tiny_job(**{**parts, "training": {"batch_size": 64, "final_weights": "last"}})


def dense(n_units: int, activation: str = "relu") -> dict[str, Any]:
    return {"kind": "dense", "n_units": n_units, "activation": activation}


def small(layer: dict[str, Any]) -> dict[str, Any]:
    return {**layer, "n_units": 2} if "n_units" in layer else layer


DROPOUT = {"kind": "dropout", "rate": 0.5}
UNITS = [dense(300, "linear"), spiking({"kind": "lif_unit"})]


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [
        [{"kind": "lstm", "n_units": 100}],
        [dense(300), dense(300), dense(300)],
        [*UNITS, {"kind": "lstm", "n_units": 30}, DROPOUT, dense(30, "linear"), DROPOUT],
        [dense(300), DROPOUT, dense(300), DROPOUT],
        [dense(100), {"kind": "peephole_lstm"}],
    ],
    ids=["lstm", "dense", "units and lstm", "dropout", "peephole lstm"],
)
def test_the_memory_estimate_of_layers_in_sequence_is_within_a_quarter(layers: list[dict[str, Any]]) -> None:
    document, warm = job(layers, 304.0), job([small(layer) for layer in layers], 16.0)
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured(document, warm), rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [
        [conv(2), lif(), *[conv(32), RELU] * 3],
        [conv(32), lif(), POOL, conv(64), lif(), POOL, dense(128, "linear"), lif()],
        [
            *[conv(32), lif()],
            *[residual([conv(32), lif(), dropout("constant"), conv(32)]), lif()],
            *[residual([conv(32), lif(), conv(32)]), lif()],
        ],
    ],
    ids=["convolutions alone", "like VGG", "like ResNet"],
)
def test_the_memory_estimate_of_layers_of_images_is_within_a_quarter(layers: list[dict[str, Any]]) -> None:
    document, warm = images(layers, 48.0), images([conv(2), lif(), POOL, conv(2), RELU], 4.0)
    assert estimate(parse_job_spec(document)).peak_memory_bytes == pytest.approx(measured(document, warm), rel=0.25)


def measured(document: dict[str, Any], warm: dict[str, Any]) -> int:
    """What the first steps of a job take beyond those of a small one, in bytes."""
    # tensors are mapped one by one and unmapped when they die, so that the peak of the process is that of its tensors
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEASURE, json.dumps(document), json.dumps(warm)]
    # now and then the peak falls between two looks of the system, and is read too low: the highest of three
    return max(int(subprocess.check_output(command, text=True, env=environment)) for _ in range(3))
