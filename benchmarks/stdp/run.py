"""Images a second of training, ours and BindsNET's, turn by turn.

    python -m benchmarks.stdp.run [--rounds 5] [--threads 1] [--contestants bindsnet-1,fast-1]

Each contestant lives in a process of its own, its network warm, and waits while another computes. Every round asks each
to learn from some images; who goes first changes from round to round. Figures are medians over the rounds, and drawing
the input spikes is part of them. All learn from the same images, each in its own way: the columns say how many time
steps an image takes, and what the ratio is a time step. Prints tables and writes the section "stdp" of
docs/performance.md and benchmarks/results/stdp.json; exit code 1 if one of the thresholds below is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.engine.report import RESULTS, machine, put_section, table
from benchmarks.processes import PEERS, Process
from benchmarks.stdp import images
from benchmarks.stdp.contestants import CONTESTANTS, Contestant

WANTED = {("fast-1", "bindsnet-1"): 25.0, ("fast-32", "bindsnet-32"): 4.0}
"""How many times as many images a second."""


@dataclass
class Figures:
    """One contestant."""

    contestant: Contestant
    versions: dict[str, str]
    rates: list[float] = field(default_factory=list)
    """Images a second, of each round."""
    spikes: float = 0.0
    share_encoding: float | None = None

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def start(contestant: Contestant, file: Path, threads: int) -> Process:
    python = sys.executable if contestant.environment == "ours" else str(PEERS)
    command = [python, "-m", "benchmarks.stdp.worker", contestant.module, str(threads)]
    cache = {"SPIKESMITH_CACHE": str(file.parent / "cache")}
    return Process(contestant.name, command, {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **cache})


def measure(file: Path, options: argparse.Namespace) -> dict[str, Figures]:
    """All contestants, interleaved."""
    processes: dict[str, Process] = {}
    found: dict[str, Figures] = {}
    try:
        for name in options.contestants:
            print(f"warming up: {name}", file=sys.stderr)
            contestant = CONTESTANTS[name]
            processes[name] = start(contestant, file, options.threads)
            built = processes[name].ask("build", images=str(file), batch=contestant.batch)
            found[name] = Figures(contestant, built["versions"])
            processes[name].ask("learn", n=contestant.warmup)
        names = list(processes)
        for round_number in range(options.rounds):
            shift = round_number % len(names)
            for name in names[shift:] + names[:shift]:
                answer = processes[name].ask("learn", n=CONTESTANTS[name].images)
                found[name].rates.append(answer["images"] / answer["seconds"])
                found[name].spikes, found[name].share_encoding = answer["spikes"], answer["share_encoding"]
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for process in processes.values():
            process.close()
    return found


def rate_table(found: dict[str, Figures]) -> str:
    rows = []
    for one in found.values():
        contestant, peer = one.contestant, found.get(f"bindsnet-{one.contestant.batch}")
        ratio = one.rate / peer.rate if peer else None
        a_step = ratio * contestant.steps / peer.contestant.steps if ratio and peer else None
        rows.append(
            [
                contestant.title,
                str(contestant.batch),
                f"{one.rate:.1f}",
                f"{min(one.rates):.1f} to {max(one.rates):.1f}",
                "" if ratio is None else f"{ratio:.1f}",
                str(contestant.steps),
                "" if a_step is None else f"{a_step:.1f}",
                f"{one.spikes:.0f}",
                "" if one.share_encoding is None else f"{100 * one.share_encoding:.0f} %",
            ]
        )
    header = [
        "",
        "batch",
        "images/s",
        "of all rounds",
        "times BindsNET's",
        "steps an image",
        "ratio a step",
        "spikes an image",
        "encoding",
    ]
    return table(header, rows)


def checks(found: dict[str, Figures]) -> list[tuple[str, float, float]]:
    """What is asked for, how much of it, and what was measured."""
    return [
        (f"{CONTESTANTS[ours].title} over {CONTESTANTS[peer].title}, batch of {CONTESTANTS[ours].batch}", wanted, ratio)
        for (ours, peer), wanted in WANTED.items()
        if ours in found and peer in found
        for ratio in [found[ours].rate / found[peer].rate]
    ]


def check_table(done: list[tuple[str, float, float]]) -> str:
    rows = [
        [what, f"≥ {wanted:.0f}×", f"{measured:.1f}×", "met" if measured >= wanted else "**missed**"]
        for what, wanted, measured in done
    ]
    return table(["what", "wanted", "measured", ""], rows)


def markdown(found: dict[str, Figures], done: list[tuple[str, float, float]], source: str, threads: int) -> str:
    versions = {name: version for one in found.values() for name, version in one.versions.items() if name != "torch"}
    return "\n\n".join(
        [
            "## Learning without gradients against BindsNET",
            f"{machine(threads)}; {source}; medians of interleaved rounds. 400 excitatory neurons; BindsNET's "
            "`DiehlAndCook2015` as its examples set it up, our presets `diehl-cook/400` (fast) and "
            "`diehl-cook/400-original`. An image's input spikes are drawn while it is learned from, and evaluations "
            "are left out. Versions: "
            + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
            + ".",
            rate_table(found),
            check_table(done),
        ]
    )


def parse() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in CONTESTANTS]:
            raise argparse.ArgumentTypeError(f"not one of {', '.join(CONTESTANTS)}: {', '.join(unknown)}")
        return chosen

    parser = argparse.ArgumentParser(description="Images a second of unsupervised learning, against BindsNET.")
    parser.add_argument("--contestants", type=names, default=list(CONTESTANTS), help="such as bindsnet-1,fast-1")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="of each (default: 1)")
    options = parser.parse_args()
    longest = max(CONTESTANTS[name].warmup + options.rounds * CONTESTANTS[name].images for name in options.contestants)
    if min(options.rounds, options.threads) < 1 or longest > 0.9 * images.N:
        parser.error("rounds and threads are at least 1, and rounds so few that no network has seen all images")
    if not PEERS.exists() and any(CONTESTANTS[name].environment == "peers" for name in options.contestants):
        parser.error("BindsNET is not installed: make bench-peers, or choose --contestants")
    return options


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        source = images.write(file)
        found = measure(file, options)
    done = checks(found)
    print("\n\n".join([source, rate_table(found), check_table(done)]))
    if options.contestants == list(CONTESTANTS):
        raw = {
            "machine": machine(options.threads),
            "images": source,
            "figures": [asdict(one) for one in found.values()],
        }
        (RESULTS / "stdp.json").write_text(json.dumps(raw, indent=1) + "\n")
        put_section("stdp", markdown(found, done, source, options.threads), target="bench-stdp")
    return 0 if all(measured >= wanted for _, wanted, measured in done) else 1


if __name__ == "__main__":
    sys.exit(main())
