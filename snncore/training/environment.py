"""Where a run happens: the device it gets, and what a number depends on besides the spec."""

from __future__ import annotations

import platform
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snncore import spec
from snncore.errors import DeviceUnavailable


def choose_device(name: str) -> torch.device:
    """The device that a spec names. Raises `DeviceUnavailable`; there is no falling back to another."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if n_gpus == 0:
            raise DeviceUnavailable(f"the job asks for {name}, and this worker has no GPU; submit it with device 'cpu'")
        if (device.index or 0) >= n_gpus:
            raise DeviceUnavailable(f"the job asks for {name}, and this worker has {n_gpus} GPU(s), counted from 0")
    return device


def describe(job: spec.JobSpec, device: torch.device, engine: str) -> dict[str, Any]:
    """Versions, device, threads, seed, and the engine that runs."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "engine": engine,
        "precision": job.training.precision,
        "seed": job.seed,
    }


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory that the run has held: of the GPU where it runs on one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    # where the system tells it: getrusage's peak survives exec and begins with that of the parent process
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
