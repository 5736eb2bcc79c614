"""`spikesmith reproduce`: the tables of the sources, with what a service has run, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, Url, complain, err, print_json, program
from service.client import Client

if TYPE_CHECKING:
    from service.cli.reproduction.holdings import Holdings
    from snncore.presets.tables import Table

PAGE = Path("docs/reproduction.md")
PATIENCE_S = 60.0
"""Waiting takes hours, in which a service may be restarted."""


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Results")(reproduce)


def reproduce(
    target: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help=f"Where the page goes; {PAGE} unless --only or --json is given."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="TABLE", help="Only this table; may be given again. Printed without --out."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="First submit what is missing, and wait for it.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="With --run: the variants of a few minutes.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="With --run: seeds 0 to N - 1 of each experiment.")] = 3,
    max_parallel: Annotated[int, typer.Option(min=1, help="With --run: at most so many jobs at a time.")] = 2,
    notes: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Texts that go below the tables, TABLE.md each; reproduction_notes beside the page."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
    url: Url = DEFAULT,
) -> None:
    """Compare the published tables with what the service's jobs came to, and write it down."""
    if quick and not run:
        complain("--quick says what to run: give --run with it")
        raise typer.Exit(ExitCode.USAGE)
    from service.cli.reproduction.collect import as_json as json_of
    from service.cli.reproduction.collect import collect
    from service.cli.reproduction.holdings import Holdings
    from service.cli.reproduction.page import render

    tables = _chosen(only or [])
    failed: list[str] = []
    with Client(url, patience_s=PATIENCE_S if run else 2.0) as client:
        holdings = Holdings(client, tables)
        if run:
            failed = _run(client, holdings, tables, seeds=seeds, quick=quick, max_parallel=max_parallel)
        filled = collect(holdings, tables)
    if as_json:
        print_json(json_of(filled))
    if target is None and not as_json and not only:
        target = PAGE
    if target is not None or not as_json:
        page = render(filled, _notes(notes or (target or PAGE).parent / "reproduction_notes", tables))
        _write(page, target)
    if failed:
        complain("not everything was run", hint="\n".join(failed))
        raise typer.Exit(ExitCode.JOB_FAILED)


def _chosen(only: Sequence[str]) -> list[Table]:
    from snncore.presets.tables import list_tables

    tables = list_tables()
    known = [table.id for table in tables]
    if unknown := [name for name in only if name not in known]:
        complain(f"there is no table {unknown[0]!r}", hint=f"There are {', '.join(known)}.")
        raise typer.Exit(ExitCode.USAGE)
    return [table for table in tables if not only or table.id in only]


def _run(
    client: Client, holdings: Holdings, tables: Sequence[Table], *, seeds: int, quick: bool, max_parallel: int
) -> list[str]:
    """Runs what is missing; what did not come about."""
    from service.cli.reproduction.running import Runner, wanted_by

    runner = Runner(client, holdings, max_parallel=max_parallel, say=lambda line: err.print(escape(line)))
    try:
        runner.run(wanted_by(holdings, tables, seeds=seeds, quick=quick))
    except KeyboardInterrupt:
        err.print(f"\nJobs that were sent go on. [bold]{escape(program())} reproduce --run[/] takes them up again.")
        raise typer.Exit(ExitCode.DONE) from None
    return runner.failed


def _notes(folder: Path, tables: Sequence[Table]) -> dict[str, str]:
    """The texts in a folder by the table that they are about."""
    try:
        return {
            table.id: path.read_text(encoding="utf-8")
            for table in tables
            if (path := folder / f"{table.id}.md").exists()
        }
    except (OSError, UnicodeDecodeError) as error:
        complain(f"cannot read the notes in {folder}: {error}")
        raise typer.Exit(ExitCode.USAGE) from error


def _write(page: str, target: Path | None) -> None:
    if target is None:
        typer.echo(page, nl=False)
        return
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}", hint="--out names another file.")
        raise typer.Exit(ExitCode.USAGE) from error
    err.print(f"{escape(str(target))} written")
