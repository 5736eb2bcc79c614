"""What this machine offers, found out without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def usable_cores() -> int:
    """Cores this process may use: its affinity, and the container's quota where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, int(quota) // int(period)))


def threads_per_trainer(slots: int) -> int:
    """Cores shared fairly by the trainers that may run at once."""
    return max(1, usable_cores() // slots)


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that numeric libraries read when they are imported.

    Passive waiting, unless somebody chose otherwise: OpenMP threads that spin for each other make a run many times
    slower as soon as anything else wants one of the cores.
    """
    policy = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    return {**{name: str(threads) for name in THREAD_VARIABLES}, "OMP_WAIT_POLICY": policy}


def describe_device() -> str:
    """`cuda: NAME[, NAME]` where a driver shows devices, else `cpu`. For people; the trainer finds out for itself."""
    tool = shutil.which("nvidia-smi")
    if tool is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return "cpu"
    try:
        names = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.split("\n")
    except (OSError, subprocess.SubprocessError):
        return "cpu"
    found = ", ".join(name.strip() for name in names if name.strip())
    return f"cuda: {found}" if found else "cpu"
