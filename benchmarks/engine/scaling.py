"""What a forward and backward pass of the fused engine costs as one thing grows: steps, batch, neurons, firing rate.

    python -m benchmarks.engine.scaling [--threads 2] [--quick]

A recurrent LIF layer whose input current makes each neuron fire, or not, at random with a given rate, whatever the
recurrent weights do: strong currents, a short memory, no reset. Its surrogate is nonzero wherever the potential goes,
so that the backward pass has nothing to leave out but absent spikes. Prints Markdown tables and writes the section
"scaling" of docs/performance.md. The plain loop is measured beside it where it takes less than some seconds.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.engine.report import machine, put_section, table
from benchmarks.engine.worker import use_threads

ROUNDS = 3
LOOP_LIMIT = 3e11
"""Multiplications up to which the loop is measured, and ..."""
LOOP_STEPS = 1000
"""... the steps."""


@dataclass(frozen=True)
class Case:
    n_steps: int = 300
    batch: int = 32
    n_neurons: int = 256
    rate: float = 0.05

    @property
    def updates(self) -> int:
        """States computed."""
        return self.n_steps * self.batch * self.n_neurons

    @property
    def synapse_steps(self) -> int:
        return self.updates * self.n_neurons


BASE = Case()
SWEEPS: dict[str, tuple[str, list[Case]]] = {
    "steps": ("T", [replace(BASE, n_steps=n) for n in (100, 300, 1000, 3000, 10_000)]),
    "batch": ("B", [replace(BASE, batch=n) for n in (1, 4, 16, 64, 256)]),
    "neurons": ("N", [replace(BASE, n_steps=100, n_neurons=n) for n in (64, 256, 1024, 2048, 4096)]),
    "firing rate": ("spikes a step", [replace(BASE, rate=r) for r in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)]),
}


def present(case: Case) -> dict[str, Callable[[], float]]:
    """Forward and backward by the fused engine and by the loop; each call returns the firing rate."""
    import torch

    from benchmarks.engine.contestants import ours
    from snncore.engines import Layer
    from snncore.engines.cpu import FusedCpuEngine
    from snncore.scan import unroll
    from snncore.spec.surrogate import Triangle
    from snncore.surrogates import SurrogateSpike

    draw = torch.Generator().manual_seed(0)
    shape = (case.n_steps, case.batch, case.n_neurons)
    # With v[t] = v[t-1] / 4 ± 3, every +3 lifts v to 2 or more and every -3 drops it to -2 or less; the threshold is 1.
    x = torch.empty(shape).uniform_(generator=draw).lt_(case.rate).mul_(6).sub_(3)
    weight = torch.randn(case.n_neurons, case.n_neurons, generator=draw).mul_(1e-3 / case.n_neurons).fill_diagonal_(0)
    cells = ours.neurons(case.n_neurons, 1.0, decay_mem=torch.full((case.n_neurons,), 0.25), reset="none")
    spike = SurrogateSpike(Triangle(kind="triangle", width=100.0), scaled=True, inclusive=True)
    back = ours.synapses(weight.numpy(), delay=1, autapses=False)
    layer = Layer(cells, spike, None, back)
    kernel = torch.linspace(1, 2, case.n_steps)
    engine = FusedCpuEngine()

    def fused() -> float:
        back.weight.grad = None
        activity = engine(x, [layer], kernel=kernel)
        assert activity.weighted is not None
        activity.weighted.sum().backward()
        return float(activity.totals[0].detach().sum(dtype=torch.float64)) / case.updates

    def loop() -> float:
        back.weight.grad = None
        z = unroll(x, cells, spike, back).z
        torch.einsum("t,tbn->bn", kernel, z).sum().backward()
        return float(z.detach().sum(dtype=torch.float64)) / case.updates

    ways: dict[str, Callable[[], float]] = {"fused": fused}
    if case.n_steps <= LOOP_STEPS and 3 * case.synapse_steps <= LOOP_LIMIT:
        ways["loop"] = loop
    return ways


def seconds(way: Callable[[], float]) -> tuple[float, float]:
    """Median time and firing rate. The first call is not timed."""
    rate = way()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return statistics.median(times), rate


def sweep(symbol: str, cases: list[Case]) -> str:
    values = {"T": "n_steps", "B": "batch", "N": "n_neurons", "spikes a step": "rate"}
    rows = []
    for case in cases:
        found = {name: seconds(way) for name, way in present(case).items()}
        fused, rate = found["fused"]
        if not math.isclose(rate, case.rate, rel_tol=0.2, abs_tol=1e-3):
            raise SystemExit(f"{case} fired at {rate}")
        loop = found.get("loop")
        rows.append(
            [
                f"{getattr(case, values[symbol]):g}",
                f"{fused * 1e3:.1f}",
                f"{fused / case.updates * 1e9:.2f}",
                f"{fused / case.synapse_steps * 1e12:.1f}",
                f"{loop[0] * 1e3:.0f}" if loop else "",
                f"{loop[0] / fused:.1f}" if loop else "",
            ]
        )
    return table([symbol, "ms", "ns / (T·B·N)", "ps / (T·B·N²)", "loop ms", "loop / fused"], rows)


def smaller(case: Case) -> Case:
    """A tenth of the work or less, to see whether it runs."""
    return replace(
        case,
        n_steps=max(20, case.n_steps // 10),
        batch=max(1, case.batch // 4),
        n_neurons=max(64, case.n_neurons // 4),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How the cost of the fused engine grows.")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="(default: at most 2)")
    parser.add_argument("--quick", action="store_true", help="small cases; nothing is written")
    options = parser.parse_args()
    use_threads(options.threads)

    import torch

    torch.set_num_threads(options.threads)
    parts = [
        "## How the cost of the fused engine grows",
        f"{machine(options.threads)}; forward and backward through one recurrent LIF layer, median of {ROUNDS}. Unless "
        f"it is what grows: T {BASE.n_steps}, B {BASE.batch}, N {BASE.n_neurons}, firing rate {BASE.rate:g}. Linear in "
        "T and B is a constant third column; linear in the synapses a constant fourth. The surrogate is nonzero "
        "everywhere, the dearest case for the backward pass.",
    ]
    for title, (symbol, cases) in SWEEPS.items():
        parts += [f"### Growing {title}", sweep(symbol, [smaller(case) if options.quick else case for case in cases])]
        print("\n\n".join(parts[-2:]) + "\n", flush=True)
    if not options.quick:
        put_section("scaling", "\n\n".join(parts))


if __name__ == "__main__":
    main()
