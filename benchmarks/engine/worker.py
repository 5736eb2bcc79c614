"""A process that serves one contestant: JSON lines in, JSON lines out.

    python -m benchmarks.engine.worker CONTESTANT THREADS

    {"op": "build", "workload": "W1", "scale": 1}   makes the network and its data
    {"op": "step", "n": 1}                          makes n training steps
    {"op": "report"}                                firing rate in the last step

Each answer is an object; one with "error" says what went wrong. The worker ends with its input.

How much memory a step takes is read from the kernel: the resident set before the first step after building, and the
peak (VmHWM) since it was put back right before the step. (`getrusage` would remember the peak of whatever process this
one came from.) What a step allocates once for good, such as Adam's moments, counts.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def use_threads(threads: int) -> None:
    """Before anything is imported: JAX takes as many threads as there are cores that it may run on."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def memory(field: str) -> int | None:
    """VmRSS or VmHWM in bytes, where the system tells."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def forget_peak() -> bool:
    """Put VmHWM back to what is resident now."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


class Worker:
    """One contestant and, once built, its training."""

    def __init__(self, module: str, threads: int) -> None:
        self.contestant = importlib.import_module(f"benchmarks.engine.contestants.{module}")
        self.training: Any = None
        self.resident: int | None = None
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)

    def build(self, workload: str, scale: int) -> dict[str, Any]:
        from benchmarks.engine import workloads

        if workload not in self.contestant.DIFFERENCES:
            return {"unable": True}
        start = time.perf_counter()
        self.training = self.contestant.build(workloads.make(workload, scale))
        self.resident = memory("VmRSS")
        return {
            "seconds": time.perf_counter() - start,
            "differs": self.contestant.DIFFERENCES[workload],
            "versions": self.contestant.versions(),
        }

    def step(self, n: int) -> dict[str, Any]:
        seconds, growth = [], []
        for _ in range(n):
            exact = forget_peak()
            start = time.perf_counter()
            self.training.step()
            seconds.append(time.perf_counter() - start)
            peak = memory("VmHWM")
            if peak is not None and self.resident is not None:
                growth.append(peak - self.resident)
        return {
            "seconds": seconds,
            "loss": self.training.loss(),
            "growth_bytes": growth,
            "growth_is_of_the_step": exact,
        }

    def report(self) -> dict[str, Any]:
        return {"firing_rate": self.training.firing_rate()}


def serve(worker: Worker, answers: TextIO) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("op"))(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    module, threads = sys.argv[1], int(sys.argv[2])
    # Libraries print what they like; the answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    use_threads(threads)
    serve(Worker(module, threads), answers)


if __name__ == "__main__":
    main()
