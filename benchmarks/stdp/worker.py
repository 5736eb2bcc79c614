"""A process that serves one contestant: JSON lines in, JSON lines out (as `benchmarks.engine.worker`).

python -m benchmarks.stdp.worker MODULE THREADS

{"op": "build", "images": "x.npz", "batch": 1}   makes the network
{"op": "learn", "n": 100}                        learns from so many images
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any

from benchmarks.engine.worker import serve, use_threads


class Worker:
    """One contestant and, once built, its training."""

    def __init__(self, module: str, threads: int) -> None:
        self.contestant = importlib.import_module(f"benchmarks.stdp.contestants.{module}")
        self.training: Any = None
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)

    def build(self, images: str, batch: int) -> dict[str, Any]:
        self.training = self.contestant.build(images, batch)
        return {"versions": self.training.versions}

    def learn(self, n: int) -> dict[str, Any]:
        before, start = self.training.learned(), time.perf_counter()
        self.training.learn(n)
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "images": self.training.learned() - before,
            "spikes": self.training.spikes(),
            "share_encoding": self.training.share_encoding(),
        }


def main() -> None:
    module, threads = sys.argv[1], int(sys.argv[2])
    # Libraries print what they like; the answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    use_threads(threads)
    serve(Worker(module, threads), answers)


if __name__ == "__main__":
    main()
