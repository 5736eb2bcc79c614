"""The engine for CUDA devices. Triton is imported when the engine is made, not with this package."""

from __future__ import annotations

from snncore.engines.cuda.engine import FusedCudaEngine

__all__ = ["FusedCudaEngine"]
