"""One training step of our fused engine, of the plain loop and of other libraries, turn by turn.

    python -m benchmarks.engine.run [--workloads W1,W2] [--rounds 7] [--threads 2]

Each contestant lives in a process of its own, its network built and warm, and waits while another computes. Every round
asks each for one step; who goes first changes from round to round. Figures are medians over the rounds. Prints tables,
writes benchmarks/results/engine.json, the section "engine" of docs/performance.md and its chart; exit code 1 if one of
the thresholds below is missed.

`--scale 10` divides batch and steps by ten, to see whether everything runs; then nothing is written.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine.contestants import CONTESTANTS, DEFAULT, Contestant
from benchmarks.engine.report import RESULTS, machine, megabytes, put_section, table
from benchmarks.engine.workloads import WORKLOADS, make
from benchmarks.processes import PEERS, ROOT, Failed, Process

CHART = ROOT / "docs" / "performance.png"

# glibc gives freed buffers back to the system and then pays page faults for them at every step; these keep them.
KEEP_FREED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}

OVER_LOOP = {"W1": 6.0, "W2": 9.0, "W3": 2.0, "W4": 1.5}
OVER_LIBRARIES = {"W1": 2.5, "W2": 7.0, "W3": 1.8, "W4": 1.5}
MEMORY = {"W1": 1 / 6, "W2": 1 / 6, "W3": 1 / 4, "W4": 1 / 4}
UNDER_DENSE = ("W2", "W3")
SAME_LOSS = 1e-3
"""Relative. Both compute the same function, but in another order, and a spike can fall on the other side."""


def process_of(contestant: Contestant, threads: int, *, keep_freed: bool) -> Process:
    python = sys.executable if contestant.environment == "ours" else str(PEERS)
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **(KEEP_FREED if keep_freed else {})}
    return Process(
        contestant.name, [python, "-m", "benchmarks.engine.worker", contestant.module, str(threads)], environment
    )


@dataclass
class Figures:
    """One contestant on one workload."""

    title: str
    role: str
    differs: str
    keep_freed: bool
    versions: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    growth_bytes: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """Of every step, warm-up included; the first is of the initial weights."""
    firing_rate: float = math.nan

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def growth(self) -> float:
        return statistics.median(self.growth_bytes) if self.growth_bytes else math.nan


@dataclass
class Ready:
    """A warm process and what it has said so far."""

    process: Process
    figures: Figures
    tried: float
    """Its best step in the trial."""


def start(contestant: Contestant, workload: str, options: argparse.Namespace, *, keep_freed: bool) -> Ready | None:
    """Build and warm up; None if the contestant cannot do this workload."""
    process = process_of(contestant, options.threads, keep_freed=keep_freed)
    try:
        built = process.ask("build", workload=workload, scale=options.scale)
        if "unable" in built:
            process.close()
            return None
        warm = process.ask("step", n=1)
        figures = Figures(
            contestant.title, contestant.role, built["differs"], keep_freed, built["versions"], losses=[warm["loss"]]
        )
        seconds = []
        for _ in range(options.warmups - 1 + options.trials):
            answer = process.ask("step", n=1)
            seconds += answer["seconds"]
            figures.losses.append(answer["loss"])
    except BaseException:
        process.close()
        raise
    return Ready(process, figures, min(seconds[options.warmups - 1 :], default=math.inf))


def start_best(contestant: Contestant, workload: str, options: argparse.Namespace) -> Ready | None:
    """The faster of the allocator's two settings, where the contestant leaves the choice."""
    first = start(contestant, workload, options, keep_freed=False)
    if first is None or contestant.malloc != "best":
        return first
    try:
        second = start(contestant, workload, options, keep_freed=True)
    except BaseException:
        first.process.close()
        raise
    assert second is not None
    better, worse = (first, second) if first.tried <= second.tried else (second, first)
    worse.process.close()
    return better


def measure(workload: str, options: argparse.Namespace) -> dict[str, Figures]:
    """All contestants on one workload, interleaved."""
    ready: dict[str, Ready] = {}
    try:
        for name in options.contestants:
            print(f"{workload}: {name}", file=sys.stderr)
            try:
                started = start_best(CONTESTANTS[name], workload, options)
            except Failed as failure:
                # One library that does not run must not take the others' figures with it, but it is said.
                print(f"{workload}: left out, {failure}", file=sys.stderr)
                continue
            if started is not None:
                ready[name] = started
        names = list(ready)
        for round_number in range(options.rounds):
            shift = round_number % len(names)
            for name in names[shift:] + names[:shift]:
                answer = ready[name].process.ask("step", n=1)
                figures = ready[name].figures
                figures.seconds += answer["seconds"]
                figures.growth_bytes += answer["growth_bytes"]
                figures.losses.append(answer["loss"])
            print(f"{workload}: round {round_number + 1} of {options.rounds}", file=sys.stderr)
        for one in ready.values():
            one.figures.firing_rate = one.process.ask("report")["firing_rate"]
    finally:
        for one in ready.values():
            one.process.close()
    return {name: one.figures for name, one in ready.items()}


@dataclass(frozen=True)
class Check:
    """A threshold and what was measured."""

    workload: str
    what: str
    wanted: str
    measured: str
    met: bool


def fastest_peer(figures: dict[str, Figures]) -> Figures | None:
    peers = [one for one in figures.values() if one.role == "peer"]
    return min(peers, key=lambda one: one.median, default=None)


def checks(workload: str, figures: dict[str, Figures]) -> list[Check]:
    """The thresholds of one workload, as far as who they speak of took part."""
    done: list[Check] = []
    fused, loop, dense, peer = (figures.get("fused"), figures.get("loop"), figures.get("dense"), fastest_peer(figures))
    if fused is None:
        return [Check(workload, "the fused engine runs", "", "no", met=False)]

    def at_least(what: str, wanted: float, measured: float) -> None:
        done.append(Check(workload, what, f"≥ {wanted:.1f}×", f"{measured:.2f}×", measured >= wanted))

    if loop is not None:
        at_least("speed over the plain loop", OVER_LOOP[workload], loop.median / fused.median)
    if peer is not None:
        at_least(f"speed over the fastest library ({peer.title})", OVER_LIBRARIES[workload], peer.median / fused.median)
    if dense is not None and workload in UNDER_DENSE:
        part = fused.median / dense.median
        done.append(Check(workload, "time, of the dense limit", "< 1", f"{part:.2f}", part < 1))
    if loop is not None:
        part = fused.growth / loop.growth
        wanted = MEMORY[workload]
        done.append(
            Check(workload, "memory of a step, of the loop's", f"≤ {wanted:.3f}", f"{part:.3f}", part <= wanted)
        )
        apart = abs(fused.losses[0] - loop.losses[0]) / abs(loop.losses[0])
        done.append(
            Check(workload, "first loss apart from the loop's", f"≤ {SAME_LOSS:g}", f"{apart:.1g}", apart <= SAME_LOSS)
        )
    return done


def ratio_table(all_figures: dict[str, dict[str, Figures]]) -> str:
    """Speed against the plain loop, a row for each contestant; * where it computes something else."""
    names = [name for name in CONTESTANTS if any(name in figures for figures in all_figures.values())]
    rows = []
    for name in names:
        cells = []
        for figures in all_figures.values():
            one, loop = figures.get(name), figures.get("loop")
            if one is None or loop is None:
                cells.append("")
                continue
            cells.append(f"{loop.median / one.median:.2f}{' *' if one.differs else ''}")
        rows.append([CONTESTANTS[name].title, *cells])
    return table(["times as fast as the plain loop", *all_figures], rows)


def detail_table(figures: dict[str, Figures]) -> str:
    loop = figures.get("loop")
    rows = []
    for one in figures.values():
        limit = one.role == "limit"
        share = "" if loop is None or limit else f"{one.growth / loop.growth:.2f}"
        rows.append(
            [
                one.title,
                f"{one.median * 1e3:.1f}",
                f"{one.least * 1e3:.1f}",
                "" if limit else megabytes(one.growth),
                share,
                "" if limit else f"{100 * one.firing_rate:.2f} %",
                "" if limit else f"{one.losses[0]:.5g}",
                "" if limit else f"{one.losses[-1]:.5g}",
                "yes" if one.keep_freed else "no",
            ]
        )
    header = [
        "",
        "median ms",
        "least ms",
        "memory",
        "of the loop's",
        "firing",
        "first loss",
        "last loss",
        "kept",
    ]
    return table(header, rows)


def check_table(all_checks: list[Check]) -> str:
    rows = [[c.workload, c.what, c.wanted, c.measured, "met" if c.met else "**missed**"] for c in all_checks]
    return table(["", "what", "wanted", "measured", ""], rows)


def markdown(
    all_figures: dict[str, dict[str, Figures]], all_checks: list[Check], options: argparse.Namespace, *, chart: bool
) -> str:
    parts = [
        "## A training step against the plain loop and other libraries",
        f"{machine(options.threads)}; median of {options.rounds} interleaved rounds after {options.warmups} or more "
        "steps of warm-up. A step is forward, loss, backward and Adam: torch's fused Adam for all contestants that are "
        "made of torch, optax's inside the compiled step for those of JAX. Our engine gets spikes packed, as the "
        "encoders make them, the others dense numbers, both made before timing. Differences under 10 % mean nothing.",
        ratio_table(all_figures),
        "\\* computes something else, see below. The dense limit is the time of all products of the step, done densely "
        "by `torch.mm` in the fastest of eight layouts, and nothing else.",
    ]
    if chart:
        parts.append(f"![speed against the plain loop]({CHART.name})")
    parts += ["### Thresholds", check_table(all_checks)]
    for workload, figures in all_figures.items():
        parts += [f"### {workload}: {make_title(workload)}", detail_table(figures)]
        different = [f"- {one.title}: {one.differs}" for one in figures.values() if one.differs]
        if different:
            parts.append("\n".join(["What differs from the loop:", "", *different]))
    versions = {
        name: version
        for figures in all_figures.values()
        for one in figures.values()
        if one.role == "peer"
        for name, version in one.versions.items()
        if name != "torch"
    }
    parts.append(
        "Memory is the growth of the resident set from before the first step to the peak of a step (JAX compiles in "
        "its first, and what that takes stays in it). The firing rate is that of the last step, for JAX with the "
        "weights after it. Whoever gains from it runs with glibc's allocator told to keep what is freed "
        '(`MALLOC_MMAP_MAX_=0` and a high `MALLOC_TRIM_THRESHOLD_`; column "kept"); our engine runs as it does in '
        "the product. Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + "."
    )
    return "\n\n".join(parts)


def make_title(workload: str) -> str:
    return make(workload, 10).title


def draw(all_figures: dict[str, dict[str, Figures]], path: Path) -> None:
    """Bars of the ratios, logarithmic: twice as fast is as far up as half as fast is down."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [n for n in CONTESTANTS if n != "loop" and any(n in figures for figures in all_figures.values())]
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    width = 0.8 / len(names)
    colours = {"fused": "#c0392b", "dense": "#555555"}
    greys = iter(pyplot.get_cmap("Blues")([0.35, 0.45, 0.55, 0.68, 0.8, 0.92, 1.0]))
    for i, name in enumerate(names):
        places, heights = [], []
        for j, figures in enumerate(all_figures.values()):
            if name in figures and "loop" in figures:
                places.append(j + (i - (len(names) - 1) / 2) * width)
                heights.append(figures["loop"].median / figures[name].median)
        colour = colours.get(name)
        bars = axes.bar(
            places,
            [height - 1 for height in heights],
            width * 0.9,
            bottom=1,
            color=next(greys) if colour is None else colour,
            label=CONTESTANTS[name].title,
        )
        if name == "fused":
            axes.bar_label(bars, [f"{height:.1f}" for height in heights], padding=2, fontsize=9)
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=0.8)
    low, high = axes.get_ylim()
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(low, high * 1.15)
    axes.set_xticks(range(len(all_figures)), list(all_figures))
    axes.set_ylabel("speed against the plain loop")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, ncols=4, loc="outside upper center")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def parse() -> argparse.Namespace:
    def several(known: Any) -> Any:
        def names(text: str) -> list[str]:
            chosen = text.split(",")
            if unknown := [name for name in chosen if name not in known]:
                raise argparse.ArgumentTypeError(f"not one of {', '.join(known)}: {', '.join(unknown)}")
            return chosen

        return names

    parser = argparse.ArgumentParser(description="Our engines against other libraries.")
    parser.add_argument("--workloads", type=several(WORKLOADS), default=list(WORKLOADS), help="such as W1,W2")
    parser.add_argument("--contestants", type=several(CONTESTANTS), default=list(DEFAULT), help="such as loop,fused")
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each (default: 7)")
    parser.add_argument("--warmups", type=int, default=2, help="steps before anything is timed (default: 2)")
    parser.add_argument("--trials", type=int, default=2, help="steps that choose an allocator setting (default: 2)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of each (default: at most 2)")
    parser.add_argument("--scale", type=int, default=1, help="divide batch and steps; results are not written then")
    options = parser.parse_args()
    if min(options.rounds, options.warmups, options.trials, options.threads, options.scale) < 1:
        parser.error("rounds, warm-ups, trials, threads and scale are at least 1")
    if not PEERS.exists() and any(CONTESTANTS[name].environment == "peers" for name in options.contestants):
        parser.error("the other libraries are not installed: make bench-peers, or choose --contestants")
    return options


def main() -> int:
    options = parse()
    all_figures: dict[str, dict[str, Figures]] = {}
    all_checks: list[Check] = []
    for workload in options.workloads:
        figures = all_figures[workload] = measure(workload, options)
        all_checks += checks(workload, figures)
        print(f"\n{workload}: {make_title(workload)}\n\n{detail_table(figures)}\n", flush=True)
    print(ratio_table(all_figures) + "\n\n" + check_table(all_checks))

    # Part of the workloads or of the contestants is a look at something, not the measurement.
    whole = options.scale == 1 and options.workloads == list(WORKLOADS) and set(DEFAULT) <= set(options.contestants)
    if whole:
        RESULTS.mkdir(exist_ok=True)
        raw = {
            "machine": machine(options.threads),
            "rounds": options.rounds,
            "warmups": options.warmups,
            "threads": options.threads,
            "figures": {
                workload: {name: asdict(one) for name, one in figures.items()}
                for workload, figures in all_figures.items()
            },
            "checks": [asdict(check) for check in all_checks],
        }
        (RESULTS / "engine.json").write_text(json.dumps(raw, indent=1).replace("NaN", "null") + "\n")
        draw(all_figures, CHART)
        put_section("engine", markdown(all_figures, all_checks, options, chart=True))
    else:
        print("\nNothing was written: this was not the whole benchmark.", file=sys.stderr)
    return 0 if all(check.met for check in all_checks) else 1


if __name__ == "__main__":
    sys.exit(main())
