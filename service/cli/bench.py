"""`spikesmith bench`: how fast the scan engines are on this machine."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

Rounds = Annotated[int, typer.Option(min=1, max=1000, help="Timed steps of each contestant.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[int, typer.Option(min=1, max=256, help="Threads of each.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running the service")(bench)


def bench(rounds: Rounds = 9, threads: Threads = 1, as_json: AsJson = False) -> None:
    """Time training steps of the fused engine against the reference, and the training loop against its bare steps.

    Takes about a minute. No service is needed.
    """
    # In a process of its own: this one never imports torch.
    command = [sys.executable, "-m", "snncore.bench", "--rounds", str(rounds), "--threads", str(threads)]
    raise typer.Exit(subprocess.run([*command, *(["--json"] if as_json else [])], check=False).returncode)
