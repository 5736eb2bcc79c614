"""How far a sweep is, live on a terminal, or a line a change where there is none."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from service.cli.output import err, state_text
from service.cli.watching import RECONNECT_S
from service.client import Client, ServiceError, ServiceUnreachable, Sweep

POLL_S = 1.0


def counts(sweep: Sweep) -> str:
    """`3 succeeded  1 running  8 queued`: the states that there are, those that have ended first."""
    order = ("succeeded", "failed", "cancelled", "running", "cancelling", "pausing", "paused", "queued")
    return "  ".join(f"{sweep.counts[state]} {state_text(state)}" for state in order if sweep.counts.get(state))


def follow(client: Client, sweep: Sweep, console: Console = err, poll_s: float = POLL_S) -> Sweep:
    """Shows a sweep until all its jobs have ended. The service may restart meanwhile."""
    live = console.is_terminal
    columns = (BarColumn(bar_width=28), MofNCompleteColumn(), TextColumn("{task.description}"))
    progress = Progress(*columns, console=console, disable=not live)
    with progress:
        task = progress.add_task("", total=sweep.n_jobs)
        shown = ""
        while True:
            text = counts(sweep)
            progress.update(task, completed=sweep.n_ended, total=sweep.n_jobs, description=text)
            if text != shown and not live:
                console.print(text)
            shown = text
            if sweep.is_finished:
                return sweep
            time.sleep(poll_s)
            sweep = _patiently(client, sweep.id, poll_s)


def _patiently(client: Client, sweep_id: str, poll_s: float) -> Sweep:
    """The sweep, asked for again while the service is away."""
    deadline = time.monotonic() + RECONNECT_S
    while True:
        try:
            return client.sweep(sweep_id)
        except (ServiceUnreachable, ServiceError) as error:
            away = isinstance(error, ServiceUnreachable) or error.status >= 500
            if not away or time.monotonic() > deadline:
                raise
            time.sleep(poll_s)
