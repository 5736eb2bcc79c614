"""Commands that run the service, or a half of it, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.configured import settings
from service.cli.output import ExitCode, complain, err, out

PANEL = "Running the service"

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8321")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", file_okay=False, help="Folder for all state (SPIKESMITH_HOME).", show_default="~/.spikesmith"
    ),
]
Slots = Annotated[int | None, typer.Option("--workers", min=1, help="Jobs to train at a time.", show_default="1")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(serve)
    app.command(rich_help_panel=PANEL)(api)
    app.command(rich_help_panel=PANEL)(worker)


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None, workers: Slots = None) -> None:
    """Run API, worker and what they need on this machine until Ctrl-C.

    Jobs that run then are checkpointed, and go on with the next start on the same --data-dir.
    """
    configuration = settings(host=host, port=port, home=data_dir, slots=workers)
    from service.server.api import CannotListen
    from service.server.lock import HomeInUse
    from service.server.redis import RedisNotFound
    from service.server.serve import CannotStart
    from service.server.serve import serve as run

    def announce(url: str) -> None:
        out.print(f"Spikesmith is ready at [bold]{url}[/]  (API: {url}/docs)")
        err.print(
            f"[dim]State is in {escape(str(configuration.home))}. Ctrl-C stops the service and saves running jobs.[/]"
        )

    try:
        run(configuration, announce)
    except (CannotListen, CannotStart, HomeInUse, RedisNotFound) as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE if not isinstance(error, CannotStart) else ExitCode.UNREACHABLE) from error


def api(host: Host = None, port: Port = None) -> None:
    """Run the HTTP API alone. Needs DATABASE_URL and BROKER_URL."""
    configuration = settings(host=host, port=port)
    from service.server.api import CannotListen, listen, run_api, url_of

    try:
        listener = listen(configuration)
    except CannotListen as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error
    out.print(f"The API listens on [bold]{url_of(listener)}[/]")
    raise typer.Exit(run_api(configuration, listener))


def worker(workers: Slots = None) -> None:
    """Run a worker alone. Needs DATABASE_URL and BROKER_URL."""
    configuration = settings(slots=workers)
    from service.server.api import run_worker

    run_worker(configuration)
