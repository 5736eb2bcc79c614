"""What all commands share: where text goes, exit codes, common options."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client import DEFAULT_URL, Client

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 1000)
"""Answers: standard output, for people and pipes. A pipe has no width to cut lines at."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, notes and complaints: standard error."""

STATE_COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "pausing": "magenta",
    "paused": "magenta",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "succeeded": "green",
    "failed": "red",
}


class ExitCode(IntEnum):
    DONE = 0
    JOB_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


Url = Annotated[
    str,
    typer.Option("--url", envvar="SPIKESMITH_URL", metavar="URL", help="Address of the service.", show_default=True),
]
Json = Annotated[bool, typer.Option("--json", help="Print what the API returned.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
SweepId = Annotated[str, typer.Argument(metavar="ID", help="The sweep's id.")]
DEFAULT = DEFAULT_URL


def program() -> str:
    """What the user types to run this command: its path where the plain name would not find it."""
    ours = Path(sys.executable).with_name("spikesmith")
    found = shutil.which("spikesmith")
    if not ours.exists() or (found is not None and Path(found) == ours):
        return "spikesmith"
    try:
        return str(ours.relative_to(Path.cwd()))
    except ValueError:
        return str(ours)


def connect(url: str) -> Client:
    return Client(url)


def print_json(value: Any) -> None:
    """Plain JSON, never coloured or wrapped: other programs read it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def complain(message: str, fields: Sequence[tuple[str, str]] = (), hint: str = "") -> None:
    """Says on standard error what is wrong, where, and what to do."""
    err.print(f"[bold red]error:[/] {escape(message)}")
    for field, text in fields:
        err.print(f"  [bold]{escape(field)}[/]: {escape(text)}")
    if hint:
        err.print(escape(hint))


def state_text(state: str) -> str:
    return f"[{STATE_COLOURS.get(state, 'white')}]{state}[/]"


def table(*columns: str, right: Sequence[str] = (), wrap: Sequence[str] = ()) -> Table:
    """An open table. Columns in `right` are numbers; those in `wrap` give way in a narrow window."""
    grid = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", no_wrap=column not in wrap)
    return grid


def ago(moment: datetime | None) -> str:
    """How long ago, to the precision that matters to a reader."""
    if moment is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def duration(seconds: float) -> str:
    """`42 s`, `3:07` or `2:05:09`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
