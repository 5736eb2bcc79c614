"""The ways to run spiking layers over time."""

from __future__ import annotations

import torch

from snncore.engines.interface import FULL, Activity, Backward, Checkpointed, Engine, Full, Input, Layer, Truncated
from snncore.engines.reference import ReferenceEngine
from snncore.errors import EngineUnavailable

__all__ = [
    "FULL",
    "Activity",
    "Backward",
    "Checkpointed",
    "Engine",
    "Full",
    "Input",
    "Layer",
    "ReferenceEngine",
    "Truncated",
    "choose_engine",
]


def choose_engine(name: str, device: torch.device) -> Engine:
    """The engine that a spec names: `reference`, `fused`, or `auto`, which is `fused`.

    Raises `EngineUnavailable`; there is no falling back to another.
    """
    if name == "reference":
        return ReferenceEngine()
    if device.type == "cuda":
        from snncore.engines.cuda import FusedCudaEngine

        return FusedCudaEngine()
    if device.type == "cpu":
        from snncore.engines.cpu import FusedCpuEngine

        return FusedCpuEngine()
    raise EngineUnavailable(f"there is no fused engine for {device.type!r}; take training.engine 'reference'")
