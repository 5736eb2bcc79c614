"""Optimiser steps a second of small and large presets with one thread and with two: what `useful_threads` is chosen by.

    python benchmarks/threads.py [--steps 20]

Each figure is from a process of its own. Prints a Markdown table. MNIST is read from SPIKESMITH_DATA, or downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from snncore.presets import get_preset
from snncore.spec import deep_merge, layer_shapes, parse_job_spec

PRESETS = ("digits/lsnn", "renner/softmax-exp-4", "mnist/lsnn", "mnist/feedforward")

TIMED = """
import json, sys, time
import torch
from snncore import train
from snncore.events import Progress
from snncore.spec import parse_job_spec

spec, threads, steps = json.load(sys.stdin)
torch.set_num_threads(threads)
for event in train(parse_job_spec(spec)):
    if isinstance(event, Progress):
        if event.step == 3:  # the first steps allocate
            start = time.perf_counter()
        elif event.step == 3 + steps:
            print(steps / (time.perf_counter() - start))
            break
"""


def steps_per_s(preset: str, threads: int, steps: int) -> float:
    spec = deep_merge(get_preset(preset).spec, {"recording": {"kind": "none"}, "training": {"epochs": 10}})
    answer = subprocess.run(
        [sys.executable, "-c", TIMED],
        input=json.dumps([spec, threads, steps]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(answer.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Steps a second with one thread and with two.")
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps that are timed (default: 20)")
    options = parser.parse_args()
    print("| preset | multiplications a time step | one thread | two threads |\n| --- | ---: | ---: | ---: |")
    for preset in PRESETS:
        job = parse_job_spec(get_preset(preset).spec)
        millions = job.training.batch_size * sum(shape.synapses for shape in layer_shapes(job)) / 1e6
        one, two = (steps_per_s(preset, threads, options.steps) for threads in (1, 2))
        print(f"| `{preset}` | {millions:.1f} million | {one:.1f} | {two:.1f} |", flush=True)


if __name__ == "__main__":
    main()
