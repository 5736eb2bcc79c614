"""snncore's fused engine for the CPU."""

from __future__ import annotations

import torch

from benchmarks.engine.contestants import Training, ours
from benchmarks.engine.workloads import Workload

DIFFERENCES = {"W1": "", "W2": "", "W3": "", "W4": ""}


def build(work: Workload) -> Training:
    from snncore.engines.cpu import FusedCpuEngine

    return ours.build(work, FusedCpuEngine())


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
