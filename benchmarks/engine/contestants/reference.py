"""The code of `fused` on the reference engine: not in the default run, there to check the harness."""

from __future__ import annotations

import torch

from benchmarks.engine.contestants import Training, ours
from benchmarks.engine.workloads import Workload
from snncore.engines import ReferenceEngine

DIFFERENCES = {"W1": "", "W2": "", "W3": "", "W4": ""}


def build(work: Workload) -> Training:
    return ours.build(work, ReferenceEngine())


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
