"""The fused engine for CPUs: one call of a compiled kernel for all time steps of a layer, forward and backward."""

from snncore.engines.cpu.engine import FusedCpuEngine

__all__ = ["FusedCpuEngine"]
