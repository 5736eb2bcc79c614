"""`spikesmith demo`: the whole service once, from nothing to a trained network, explained on the way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.panel import Panel

from service.cli import show
from service.cli.output import ExitCode, complain, duration, out, program
from service.cli.watching import follow
from service.client import DEFAULT_URL, Client, Job, RasterInfo

PRESET = "digits/lsnn"
WANTED_ACCURACY = 0.93
STOP_S = 120.0

INTRODUCTION = (
    "This demo trains a [bold]spiking neural network[/] to read handwritten digits. Its neurons work somewhat like "
    "those of a brain: they add up what arrives, leak, and send a short pulse, a spike, when they reach a threshold. "
    "The digits are 1,797 real ones of 8 x 8 pixels. A fifth of them is kept back: the network is tested on digits it "
    "has never seen.\n\n"
    "It happens the way every job happens here: a [bold]service[/] is started on this machine, the job is "
    "[bold]sent to it over HTTP[/], a [bold]worker[/] trains the network, and the results come back over HTTP. "
    "At the end all of it is stopped."
)


class DemoFailed(RuntimeError):
    """Something did not work; the text is for the user."""


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running the service")(demo)


def demo(
    folder: Annotated[Path, typer.Option("--out", file_okay=False, help="Where pictures and state go.")] = Path(
        "demo-output"
    ),
) -> None:
    """Train a spiking network on handwritten digits from start to end, and look at it."""
    panel = Panel(INTRODUCTION, title="[bold]Spikesmith[/]", border_style="cyan", padding=(1, 2))
    out.print(panel, width=min(out.width, 100), soft_wrap=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        complain(f"cannot make a folder for the results: {error}", hint="--out names another one.")
        raise typer.Exit(ExitCode.USAGE) from error
    try:
        accuracy = _run(folder)
    except DemoFailed as error:
        complain(str(error))
        raise typer.Exit(ExitCode.JOB_FAILED) from error
    if accuracy < WANTED_ACCURACY:
        complain(f"the network reads {accuracy:.1%} of the digits; it should be {WANTED_ACCURACY:.0%} at least")
        raise typer.Exit(ExitCode.JOB_FAILED)


def _run(folder: Path) -> float:
    data = folder / "data"
    with _service(data, folder / "service.log") as url, Client(url, patience_s=30) as client:
        out.print(f"[green]✓[/] service is up at {url} [dim](API, worker, SQLite, a private Redis)[/]")
        job = client.submit(preset=PRESET, name="demo")
        out.print(f'[green]✓[/] job sent: POST /v1/jobs [dim]{{"preset": "{PRESET}"}}[/] -> {job.id}\n')
        follow(client, job, out)
        job = client.job(job.id)
        if job.state != "succeeded":
            reason = f": {job.error.detail}" if job.error else ""
            raise DemoFailed(f"the job ended as {job.state}{reason}; what was logged is in {folder / 'service.log'}")
        result = client.result(job.id)
        pictures = _draw(client, job, folder)
        _report(url, job, result, pictures)
    me = escape(program())
    out.print("[green]✓[/] service stopped. To go on:")
    out.print(f"  [bold]{me} serve --data-dir {escape(str(data))}[/]  starts it again, with this job in it")
    out.print(f"  [bold]{me} presets[/]  then lists what else there is to train; README.md says how to send your own")
    return float(result["metrics"]["test"]["accuracy"])


def _report(url: str, job: Job, result: dict[str, Any], pictures: list[Path]) -> None:
    accuracy = result["metrics"]["test"]["accuracy"]
    took = f" after {duration(job.seconds)} of training" if job.seconds is not None else ""
    out.print(
        f"\nThe network reads [bold green]{accuracy:.1%}[/] of the digits it has never seen{took} (guessing: 10 %).\n"
    )
    show.outcome(result)
    curve, raster = (f"[bold]{escape(str(path))}[/]" for path in pictures)
    out.print(f"\nPictures\n  {curve}  how it learned\n  {raster}  one digit, as the spikes of all neurons")
    out.print("\nThe same over HTTP, while the service runs")
    for part in ("", "/result", "/metrics/accuracy?split=validation", "/rasters", "/checkpoints/best"):
        out.print(f"  {url}/v1/jobs/{job.id}{part}")
    out.print(f"  {url}/docs\n")


def _draw(client: Client, job: Job, folder: Path) -> list[Path]:
    """The learning curve, and the spikes of one digit in each layer."""
    from service.client import pictures

    series = {(s.name, s.split) for s in client.metrics(job.id)}
    wanted = [(name, split) for name in ("loss", "accuracy") for split in ("train", "validation", "test")]
    curves = [client.curve(job.id, name, split) for name, split in wanted if (name, split) in series]
    curve_path, raster_path = folder / "learning_curve.png", folder / "raster.png"
    pictures.save(pictures.learning_curves(curves, "Learning to read digits"), curve_path)
    infos = _one_sample(client.rasters(job.id, split="test"))
    if not infos:
        raise DemoFailed("the job recorded no raster of a test digit")
    panels = [(info, client.spikes(job.id, info.id)) for info in infos]
    label, prediction = infos[0].label, infos[0].prediction
    title = f"A handwritten {label}, in spikes" if label == prediction else f"A {label}, taken for a {prediction}"
    first, spikes = panels[0]
    # One input neuron a pixel: how often each fired is the digit.
    pixels = np.bincount(spikes.neurons, minlength=first.n_neurons).reshape(8, 8)
    pictures.save(pictures.raster(panels, title, pixels, "input spikes\nin each pixel"), raster_path)
    return [curve_path, raster_path]


def _one_sample(rasters: list[RasterInfo]) -> list[RasterInfo]:
    """The layers of the first sample that was read correctly (of the first one, should all be wrong), input first."""
    if not rasters:
        return []
    right = [r for r in rasters if r.label is not None and r.label == r.prediction] or rasters
    sample = min(r.sample for r in right)
    return sorted((r for r in rasters if r.sample == sample), key=lambda r: (r.layer != "input", r.layer))


@contextmanager
def _service(data: Path, log: Path) -> Iterator[str]:
    """A running service; its address. Ends with it, also when this process is killed."""
    from service.server.processes import GUARD

    # -P and a folder of its own: what lies in the working directory (a .env file, say) is no business of the demo's.
    options = ["--data-dir", str(data.absolute()), "--port", str(_port())]
    command = [sys.executable, "-P", "-m", "service.cli", "serve", *options]
    guarded = [sys.executable, "-I", "-S", GUARD, str(os.getpid()), *command]
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            guarded,
            cwd=data,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        with out.status("starting the service"):
            address = re.search(r"http://\S+", process.stdout.readline().decode())
        if address is None:
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise DemoFailed("\n".join(["the service did not start:", *last, f"(the whole log is in {log})"]))
        yield address[0]
    finally:
        process.send_signal(signal.SIGTERM)
        with out.status("stopping the service"):
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        process.stdout.close()


def _port() -> int:
    """The usual port, so that the addresses work with a plain `spikesmith serve` later; 0 if somebody has it."""
    usual = int(DEFAULT_URL.rpartition(":")[2])
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            return 0
    return usual
