"""Large buffers that outlive a training step.

An allocator gives a large block back to the system as soon as it is free, and the next step pays for every page of it
again. A tape is taken from here and put back after the backward pass; one that is never put back is simply lost.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from snncore.engines.cpu.native import library

KEPT = 4
"""Free buffers that are kept at most."""


class Buffers:
    """Free one-dimensional tensors, handed out by size."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Tensor] = []

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """A tensor with any content: the smallest free one that is large enough, or a new one."""
        n = 1
        for size in shape:
            n *= size
        with self._lock:
            fitting = [buffer for buffer in self._free if buffer.dtype == dtype and buffer.numel() >= n]
            if fitting:
                best = min(fitting, key=Tensor.numel)
                self._free = [buffer for buffer in self._free if buffer is not best]
                return best[:n].view(shape)
            # what is free and too small will not be missed, the sizes of a run repeat
            self._free = [buffer for buffer in self._free if buffer.dtype != dtype]
        buffer = torch.empty(n, dtype=dtype)
        library().use_large_pages(buffer.data_ptr(), buffer.numel() * buffer.itemsize)
        return buffer.view(shape)

    def give_back(self, tensor: Tensor) -> None:
        """Put a tensor back that nothing looks at any more."""
        whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
        with self._lock:
            self._free = [*self._free, whole][-KEPT:]
