"""What a list of the synapses that exist gains over rows of weights: `python -m benchmarks.sparse`, one thread.

A training step (forward, loss, backward, Adam, DEEP R) of one recurrent population on random spikes, with the engine
told to list its synapses always, and never. The two take turns step by step, on networks of their own from the same
spec; what counts is the ratio of the medians. Times are those of the processor, so that a busy machine disturbs them
less. The input has all of its synapses, so that the share of those of the population hardly changes how much it fires.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch

from snncore.engines.cpu import listed
from snncore.networks import make_network
from snncore.spec import JobSpec, parse_job_spec
from snncore.spikes import SpikeTrain
from snncore.training.optimiser import make_adam

SIZES = {240: (200, 32), 1000: (60, 16), 2000: (40, 16)}
"""Neurons: steps and samples."""
DELAYS: dict[str, dict[str, Any]] = {
    "1": {"kind": "constant", "steps": 1},
    "1-10": {"kind": "uniform", "low": 1, "high": 10},
}


def job_of(n: int, delay: dict[str, Any], connectivity: float, gain: float) -> JobSpec:
    n_steps, batch = SIZES[n]
    neuron = {"kind": "lif", "n_refractory": 5, "v_threshold": 0.6}
    return parse_job_spec(
        {
            "task": {"kind": "classification"},
            "dataset": {"kind": "digits"},
            "encoding": {"kind": "poisson", "duration_ms": float(n_steps), "max_rate_hz": 50.0},
            "architecture": {
                "kind": "recurrent",
                "n_hidden": n,
                "input": {"weights": {"kind": "normal", "gain": gain}},
                "recurrence": {"delay": delay},
                "readout": {"kind": "leaky"},
            },
            "neuron": {
                "kind": "mixed",
                "populations": [
                    {"proportion": 100.0, "neuron": neuron},
                    {
                        "proportion": 140.0,
                        "neuron": {**neuron, "kind": "alif", "tau_adapt_ms": 700.0, "beta_adapt": 3.0},
                    },
                ],
            },
            "training": {
                "kind": "bptt",
                "epochs": 1,
                "batch_size": batch,
                "rewiring": {
                    "kind": "deep_r",
                    "connectivity": connectivity,
                    "matrices": ["hidden/recurrent"],
                    "signs": {"kind": "random"},
                },
            },
            "device": "cpu",
        }
    )


def steps(job: JobSpec, lists: bool) -> Iterator[tuple[float, float]]:
    """Processor seconds of one update after another, and the share of neurons that fire in a time step."""
    network = make_network(job, torch.device("cpu"))
    optimiser = make_adam(network, job.training.optimiser)
    n_steps, batch = job.encoding.n_steps, job.training.batch_size
    draw = torch.Generator().manual_seed(0)
    x = SpikeTrain.pack(torch.rand(n_steps, batch, 64, generator=draw) < 0.05)
    number = 0
    while True:
        listed.pays = lambda links, n_existing: lists
        began = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        shown = network(x)
        shown.reading.values.square().mean().backward()
        if network.rewiring is None:
            optimiser.step()
        else:
            network.rewiring.update(optimiser.step, 1e-5, number)
        number += 1
        yield time.process_time() - began, float(shown.counts["hidden"].detach().mean()) / n_steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Listed synapses against rows of weights.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--neurons", type=int, nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--connectivity", type=float, nargs="*", default=[0.3, 0.12, 0.02])
    parser.add_argument("--gain", type=float, default=0.4, help="of the input: how much the population fires")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| neurons | delays | connectivity | firing | rows, ms | list, ms | list is |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n in options.neurons:
        for delays, delay in DELAYS.items():
            for connectivity in options.connectivity:
                job = job_of(n, delay, connectivity, options.gain)
                ways = {"rows": steps(job, False), "list": steps(job, True)}
                times: dict[str, list[float]] = {way: [] for way in ways}
                for number in range(options.rounds + 1):
                    for way, updates in ways.items():
                        seconds, firing = next(updates)
                        if number:  # the first allocates
                            times[way].append(1000 * seconds)
                rows, few = (statistics.median(times[way]) for way in ("rows", "list"))
                print(
                    f"| {n} | {delays} | {connectivity:.0%} | {firing:.1%} | {rows:.1f} | {few:.1f} | "
                    f"{rows / few:.2f} x as fast |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
