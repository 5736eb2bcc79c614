"""Small jobs for the tests."""

from __future__ import annotations

from typing import Any

from snncore.datasets.places import data_folders
from snncore.spec import JobSpec, deep_merge, parse_job_spec

REAL_MNIST = any(
    (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file() or (folder / "train-images-idx3-ubyte.gz").is_file()
    for folder in data_folders()
)
REAL_FLOWERS12 = any((folder / "flowers12" / "train").is_dir() for folder in data_folders())

TINY: dict[str, Any] = {
    "task": {"kind": "classification"},
    "dataset": {"kind": "digits"},
    "encoding": {"kind": "poisson", "duration_ms": 10.0, "max_rate_hz": 500.0},
    "architecture": {"kind": "recurrent", "n_hidden": 12, "readout": {"kind": "leaky"}},
    "neuron": {"kind": "lif"},
    "training": {"kind": "bptt", "epochs": 1, "batch_size": 256},
}


def tiny_job(**parts: dict[str, Any]) -> dict[str, Any]:
    """A document of a job that trains in a second, with `parts` merged into it."""
    return deep_merge(TINY, parts)


def tiny_spec(**parts: dict[str, Any]) -> JobSpec:
    return parse_job_spec(tiny_job(**parts))
