"""Commands on sweeps: submit one, watch it, and look at what came out."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from service.cli.output import (
    DEFAULT,
    ExitCode,
    Json,
    SweepId,
    Url,
    ago,
    complain,
    connect,
    err,
    out,
    print_json,
    program,
    state_text,
    table,
)
from service.cli.specfile import BadFile, changed, load_file, parse_grid, parse_labels, parse_seeds, parse_settings
from service.cli.sweep_watching import counts, follow
from service.client import Client, Sweep

FIELDS = ("spec", "preset", "overrides", "grid", "points", "seeds", "max_parallel", "name", "labels")
"""Of the body of POST /v1/sweeps."""

app = typer.Typer(help="List sweeps; show, tabulate, stop one.", invoke_without_command=True)


class TableFormat(StrEnum):
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


MEDIA_TYPES = {
    TableFormat.MARKDOWN: "text/markdown",
    TableFormat.CSV: "text/csv",
    TableFormat.JSON: "application/json",
}


def register(main: typer.Typer) -> None:
    main.command(rich_help_panel="Jobs")(sweep)


def sweep(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="Spec or preset, grid, seeds: .json, .yaml or .toml; - for standard input."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Start from this preset (see `spikesmith presets`).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field of all jobs.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="PATH=V1,V2,...", help="Values of a field (or of `preset`) to combine."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="0:5 or 0,1,2: each grid point is run with each of them.")] = None,
    max_parallel: Annotated[int | None, typer.Option(min=1, help="Run at most so many of its jobs at a time.")] = None,
    name: Annotated[str | None, typer.Option(help="A name of your choice.")] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label.")] = None,
    stay: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay until all jobs have ended, and show the table.")
    ] = False,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """Queue a job for each combination of values and each seed: those of a preset that is a sweep, or your own."""
    try:
        request = _request(file, preset, parse_settings(settings or []), parse_grid(grid or []))
        given = {
            "seeds": None if seeds is None else parse_seeds(seeds),
            "max_parallel": max_parallel,
            "name": name,
            "labels": None if labels is None else {**(request.get("labels") or {}), **parse_labels(labels)},
        }
        request |= {key: value for key, value in given.items() if value is not None}
    except BadFile as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error
    with connect(url) as client:
        made = client.submit_sweep(**request)
        if stay:
            if not as_json:
                err.print(f"[bold]{made.id}[/] {escape(made.name or '')}")
            _watch(client, made, as_json)
        elif as_json:
            print_json(made.raw)
        else:
            out.print(made.id)
            err.print(f"[dim]{made.n_jobs} jobs; look at them with[/] {escape(program())} sweeps show {made.id}")


def _request(
    file: str | None, preset: str | None, changes: dict[str, Any], grid: dict[str, list[Any]]
) -> dict[str, Any]:
    """The body of the request as far as it says what is run."""
    if file is not None and preset is not None:
        raise BadFile("a sweep comes from a FILE or from --preset NAME, not from both")
    if file is None and preset is None and "preset" not in grid:
        raise BadFile("a sweep comes from a FILE, from --preset NAME, or from --grid preset=NAME,NAME")
    request: dict[str, Any] = {} if file is None else load_file(file)
    unknown = [key for key in request if key not in FIELDS]
    if unknown:
        raise BadFile(f"{file}: {unknown[0]!r} is no field of a sweep; it has {', '.join(FIELDS)}")
    if preset is not None:
        request["preset"] = preset
    if changes:
        target = "spec" if "spec" in request else "overrides"
        request[target] = changed(request.get(target) or {}, changes)
    if grid:
        request["grid"] = {**(request.get("grid") or {}), **grid}
    return request


@app.callback()
def sweeps(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most so many.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """List sweeps, newest first; or show, tabulate, stop one."""
    if context.invoked_subcommand is not None:
        return
    with connect(url) as client:
        found = [one for one, _ in zip(client.sweeps(page_size=min(limit, 100)), range(limit), strict=False)]
    if as_json:
        print_json([one.raw for one in found])
        return
    if not found:
        err.print("[dim]no sweeps[/]")
        return
    rows = table("id", "state", "done", "name", "varies", "created", right=["done"], wrap=["name", "varies"])
    for one in found:
        done = f"{one.n_ended}/{one.n_jobs}"
        varies = escape(", ".join(_varied(one)))
        rows.add_row(one.id, escape(one.state), done, escape(one.name or ""), varies, ago(one.created_at))
    out.print(rows)


def _varied(sweep: Sweep) -> list[str]:
    """The last steps of the paths that change from point to point."""
    keys = [*(sweep.points[0] if sweep.points else {}), *sweep.grid]
    return [key.rpartition(".")[2] for key in keys] + (["seed"] if len(sweep.seeds) > 1 else [])


@app.command()
def show(sweep_id: SweepId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Show a sweep and its jobs."""
    with connect(url) as client:
        found = client.sweep(sweep_id)
    if as_json:
        print_json(found.raw)
        return
    title = f"  {escape(found.name)}" if found.name else ""
    out.print(f"[bold]{found.id}[/]{title}  {counts(found)}")
    keys = list(dict.fromkeys(key for job in found.jobs for key in job.point))
    rows = table("job", "state", "progress", "seed", *map(escape, keys), right=["progress", "seed"])
    for job in found.jobs:
        done = "" if job.fraction is None else f"{job.fraction:.0%}"
        point = [_text(job.point[key]) if key in job.point else "" for key in keys]
        rows.add_row(job.id, state_text(job.state), done, str(job.seed), *map(escape, point))
    out.print(rows)
    for job in found.jobs:
        if job.role == "needed":
            out.print(f"{job.id} is of {escape(job.preset or '')}, which others of the sweep need")


@app.command("table")
def show_table(
    sweep_id: SweepId,
    format: Annotated[TableFormat, typer.Option(help="How it is written.")] = TableFormat.MARKDOWN,
    target: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it into this file.")] = None,
    url: Url = DEFAULT,
) -> None:
    """Print mean and spread of the final metrics of each grid point."""
    with connect(url) as client:
        text = client.sweep_table_text(sweep_id, MEDIA_TYPES[format])
    if target is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        raise typer.Exit(ExitCode.USAGE) from error
    err.print(f"wrote {escape(str(target))}")


@app.command()
def watch(sweep_id: SweepId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Show how far a sweep is until all its jobs have ended. Ctrl-C leaves it running."""
    with connect(url) as client:
        _watch(client, client.sweep(sweep_id), as_json)


@app.command()
def cancel(sweep_id: SweepId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Stop all jobs of a sweep that have not ended."""
    with connect(url) as client:
        _acknowledge(client.cancel_sweep(sweep_id), as_json)


@app.command()
def resume(sweep_id: SweepId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Let paused, cancelled and failed jobs of a sweep go on."""
    with connect(url) as client:
        _acknowledge(client.resume_sweep(sweep_id), as_json)


@app.command()
def delete(sweep_id: SweepId, url: Url = DEFAULT) -> None:
    """Remove a sweep whose jobs have all ended, with the jobs and their results."""
    with connect(url) as client:
        client.delete_sweep(sweep_id)
    err.print(f"{escape(sweep_id)} deleted")


def _watch(client: Client, sweep: Sweep, as_json: bool) -> None:
    """Follows the sweep to its end and exits with 1 unless all its jobs succeeded."""
    try:
        sweep = follow(client, sweep)
    except KeyboardInterrupt:
        me = escape(program())
        err.print(f"\nThe sweep goes on without you. Come back with [bold]{me} sweeps watch {sweep.id}[/],")
        err.print(f"or stop it with [bold]{me} sweeps cancel {sweep.id}[/].")
        raise typer.Exit(ExitCode.DONE) from None
    if as_json:
        print_json(sweep.raw)
    else:
        typer.echo(client.sweep_table_text(sweep.id), nl=False)
    if not sweep.all_succeeded:
        raise typer.Exit(ExitCode.JOB_FAILED)


def _acknowledge(sweep: Sweep, as_json: bool) -> None:
    if as_json:
        print_json(sweep.raw)
    else:
        out.print(f"{sweep.id} {counts(sweep)}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
