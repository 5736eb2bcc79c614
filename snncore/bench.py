"""How fast the engines are on this machine: `python -m snncore.bench`, or `spikesmith bench`.

A training step is forward, loss, backward and Adam on random input. The engines take turns step by step, each with a
network of its own from the same spec, and the figures are medians; what counts is the ratio. The last column is the
whole training loop (data, encoding, metrics, events) of the fused engine over its bare step, turn by turn as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from snncore import train
from snncore.encoders import encode
from snncore.events import Progress
from snncore.networks import make_network
from snncore.presets import get_preset
from snncore.spec import JobSpec, deep_merge, image_shape, n_features, parse_job_spec
from snncore.streams import stream
from snncore.tasks import make_task
from snncore.training.optimiser import make_adam

LARGER = {
    "encoding": {"duration_ms": 200.0},
    "architecture": {"n_hidden": 400},
    "training": {"batch_size": 128},
}
WORKLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits/lsnn": ("digits/lsnn", {}),
    "digits/lsnn, 400 neurons, 200 steps": ("digits/lsnn", LARGER),
    "renner/softmax-exp-4": ("renner/softmax-exp-4", {}),
}
ENGINES = ("reference", "fused")


def job_of(preset: str, changes: dict[str, Any], engine: str) -> JobSpec:
    always = {"training": {"engine": engine, "epochs": 1000}, "recording": {"kind": "none"}, "device": "cpu"}
    return parse_job_spec(deep_merge(deep_merge(get_preset(preset).spec, changes), always))


def bare_steps(job: JobSpec) -> Iterator[float]:
    """Seconds of one optimiser update after another, on one batch that is encoded beforehand."""
    network, task = make_network(job, torch.device("cpu")), make_task(job)
    optimiser = make_adam(network, job.bptt.optimiser)
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(job.training.batch_size, n_features(job.dataset), generator=draw)
    y = torch.randint(0, 10, (len(x),), generator=draw)
    inputs = encode(job.encoding, x, stream(0, "bench"), image_shape(job.dataset))
    while True:
        began = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        task.judge(network(inputs).reading, x, y).loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield time.perf_counter() - began


def loop_steps(job: JobSpec) -> Iterator[float]:
    """The same for the training loop, with everything that it does for a batch."""
    events = train(job)
    while True:
        began = time.perf_counter()
        for event in events:
            if isinstance(event, Progress):
                break
        yield time.perf_counter() - began


def measure(preset: str, changes: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Median milliseconds of each contestant, over rounds in which they take turns."""
    contestants = {engine: bare_steps(job_of(preset, changes, engine)) for engine in ENGINES}
    contestants["training loop"] = loop_steps(job_of(preset, changes, "fused"))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 2):
        for name, steps in contestants.items():
            seconds = next(steps)
            if number >= 2:  # the first two allocate
                times[name].append(1000 * seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "ms": medians,
        "fused_over_reference": medians["reference"] / medians["fused"],
        "loop_over_bare_step": medians["training loop"] / medians["fused"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The engines on this machine.")
    parser.add_argument("--rounds", type=int, default=9, help="timed steps of each contestant (default: 9)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads are at least 1")
    torch.set_num_threads(options.threads)
    results = {name: measure(*workload, options.rounds) for name, workload in WORKLOADS.items()}
    if options.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
        return
    rows = [
        "| training step | reference | fused | fused is | training loop, fused |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, result in results.items():
        ms = result["ms"]
        cells = [
            f"{ms['reference']:.1f} ms",
            f"{ms['fused']:.1f} ms",
            f"{result['fused_over_reference']:.1f} x as fast",
        ]
        rows.append(f"| {name} | {' | '.join(cells)} | {result['loop_over_bare_step']:.2f} of a bare step |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
