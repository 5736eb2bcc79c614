"""What the service costs on top of the library: the same job over HTTP and by `snncore.train`, turn by turn.

    python benchmarks/service_cost.py [--rounds 4] [--epochs 60]

Both sides run in a fresh process with the same number of threads, and both times include starting it and importing
torch. Prints a Markdown table; exit code 1 if the service adds 5 % or more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.client import Client
from snncore.presets import get_preset
from snncore.spec import deep_merge, parse_job_spec, useful_threads
from worker.resources import thread_environment, threads_per_trainer

LIMIT = 1.05
PRESET = "digits/lsnn"

DIRECT = """
import json, sys
from snncore import train
from snncore.events import Finished
from snncore.spec import parse_job_spec

for event in train(parse_job_spec(json.load(sys.stdin))):
    if isinstance(event, Finished):
        json.dump({"metrics": event.result["metrics"], "wall_time_s": event.result["cost"]["wall_time_s"]}, sys.stdout)
"""


@dataclass
class Run:
    """Seconds of one run."""

    whole: float
    """From sending the job, or starting the process, to its end."""
    job: float
    """From `started_at` to `finished_at`; of a direct run the same as `whole`."""
    training: float
    """What the run itself measured, without imports."""
    metrics: dict[str, Any]


def directly(spec: dict[str, Any], threads: int) -> Run:
    # What the worker sets for its trainers.
    env = {**os.environ, **thread_environment(threads)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", DIRECT], input=json.dumps(spec), capture_output=True, text=True, env=env, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"the direct run failed:\n{done.stderr}")
    answer = json.loads(done.stdout)
    return Run(seconds, seconds, answer["wall_time_s"], answer["metrics"])


def over_http(client: Client, spec: dict[str, Any]) -> Run:
    start = time.time()
    job = client.wait(client.submit(spec).id, poll_s=1.0)
    if job.state != "succeeded" or job.finished_at is None or job.seconds is None:
        raise SystemExit(f"the job ended as {job.state}: {job.error}")
    result = client.result(job.id)
    return Run(job.finished_at.timestamp() - start, job.seconds, result["cost"]["wall_time_s"], result["metrics"])


@contextmanager
def service() -> Iterator[Client]:
    with tempfile.TemporaryDirectory(prefix="spikesmith-bench-") as folder:
        command = [sys.executable, "-P", "-m", "service.cli", "serve", "--port", "0", "--data-dir", folder]
        log = (Path(folder) / "service.log").open("wb")
        with log, subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log) as process:
            try:
                assert process.stdout is not None
                address = re.search(rb"http://\S+", process.stdout.readline())
                if address is None:
                    raise SystemExit(f"the service did not start:\n{(Path(folder) / 'service.log').read_text()}")
                with Client(address[0].decode(), patience_s=30) as client:
                    yield client
            finally:
                process.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(description="What the service costs on top of snncore.train.")
    parser.add_argument("--rounds", type=int, default=4, help="runs of each side (default: 4)")
    parser.add_argument("--epochs", type=int, default=240, help="length of the job (default: 240, about half a minute)")
    options = parser.parse_args()
    spec = deep_merge(get_preset(PRESET).spec, {"training": {"epochs": options.epochs}})
    # As the supervisor chooses them.
    threads = useful_threads(parse_job_spec(spec), threads_per_trainer(slots=1))

    direct: list[Run] = []
    http: list[Run] = []
    with service() as client:
        for turn in range(1, options.rounds + 1):
            # Who goes first changes, so that a machine that warms up or slows down favours neither.
            if turn % 2:
                direct.append(directly(spec, threads))
            http.append(over_http(client, spec))
            if not turn % 2:
                direct.append(directly(spec, threads))
            print(f"round {turn} of {options.rounds}", file=sys.stderr)
    different = [run.metrics for run in http + direct if run.metrics != direct[0].metrics]
    if different:
        raise SystemExit(f"the two sides trained different networks: {direct[0].metrics} and {different[0]}")

    base = statistics.median(run.whole for run in direct)
    rows = [
        ("`snncore.train` in a process of its own", base),
        ("HTTP, `started_at` to `finished_at`", statistics.median(run.job for run in http)),
        ("HTTP, POST to `finished_at`", statistics.median(run.whole for run in http)),
    ]
    print(
        f"{PRESET}, {options.epochs} epochs, {threads} thread{'s' if threads > 1 else ''}, median of {options.rounds}, "
        "same final metrics on both sides:\n"
    )
    print("| | seconds | ratio |\n| --- | ---: | ---: |")
    for name, seconds in rows:
        print(f"| {name} | {seconds:.2f} | {seconds / base:.3f} |")
    training = statistics.median(run.training for run in http) / statistics.median(run.training for run in direct)
    print(f"| the training alone, HTTP over direct | | {training:.3f} |")
    return 0 if rows[2][1] / base < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
