"""Milliseconds that each illustration takes over HTTP at 300 time steps: data, PNG and SVG.

    python -m benchmarks.illustrations [--rounds 20] [--figures docs/figures]

Median of the rounds, of whole requests to the application in this process: by the clock, and in brackets the processor
time, which other programs do not lengthen. Prints a Markdown table. With `--figures`
it writes the PNG of each illustration at its defaults instead, which is what docs/illustrations.md shows. Exit code 1
if the data of one took 50 ms of processor time or more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings
from snncore.illustrations import ILLUSTRATIONS

with warnings.catch_warnings():
    # It would rather have httpx2, which is not the client library of this project.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

LIMIT_MS = 50.0

BODIES: dict[str, dict[str, Any]] = {
    "unit": {"steps": 300},
    "period": {"points": 300},
    "smoothing": {"steps": 300},
    "gradient": {"steps": 300},
    "lstm": {"steps": 300},
    "coincidence": {},
    "encodings": {"steps_a_column": 38},
    "image": {"steps_a_column": 3},
}
"""300 steps each, or as many currents; the phase diagrams have 3 x 50 x 50 points and no time."""


def measure(client: TestClient, name: str, accept: str, rounds: int) -> tuple[float, float, int]:
    """Milliseconds of a request by the clock and of its processor time, and the bytes of its answer."""
    walls, cpus = [], []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        response = client.post(f"/v1/illustrations/{name}", json=BODIES[name], headers={"Accept": accept})
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
        response.raise_for_status()
    # the first one loads what it draws with
    return statistics.median(walls[1:]), statistics.median(cpus[1:]), len(response.content)


def write_figures(client: TestClient, folder: Path) -> None:
    for name in ILLUSTRATIONS:
        picture = client.post(f"/v1/illustrations/{name}", json={}, headers={"Accept": "image/png"})
        picture.raise_for_status()
        (folder / f"illustration-{name}.png").write_bytes(picture.content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--figures", type=Path, help="Write pictures into this folder instead of measuring.")
    arguments = parser.parse_args()
    settings = Settings(home=Path(tempfile.mkdtemp()), _env_file=None)
    with TestClient(create_app(settings)) as client:
        if arguments.figures:
            write_figures(client, arguments.figures)
            return 0
        slow = 0
        print("| illustration | data (ms) | kB | PNG (ms) | kB | SVG (ms) | kB |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name in ILLUSTRATIONS:
            cells = [name]
            for accept, rounds in (
                ("application/json", arguments.rounds),
                ("image/png", max(1, arguments.rounds // 4)),
                ("image/svg+xml", max(1, arguments.rounds // 4)),
            ):
                wall, cpu, size = measure(client, name, accept, rounds)
                slow += accept == "application/json" and cpu >= LIMIT_MS
                cells += [f"{wall:.0f} ({cpu:.0f})", f"{size / 1e3:.0f}"]
            print(f"| {' | '.join(cells)} |")
        return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
