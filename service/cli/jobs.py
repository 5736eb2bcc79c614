"""Commands on jobs: submit, watch, list, show, stop."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from service.cli import show
from service.cli.output import (
    DEFAULT,
    ExitCode,
    JobId,
    Json,
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
from service.cli.specfile import BadFile, changed, load_file, parse_labels, parse_settings
from service.cli.watching import follow
from service.client import ChainedJob, Client, Job

PANEL = "Jobs"


def register(app: typer.Typer) -> None:
    for command in (submit, watch, list_jobs, show_job, cancel, pause, resume, delete, logs):
        app.command({"list_jobs": "jobs", "show_job": "show"}.get(command.__name__), rich_help_panel=PANEL)(command)


def submit(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A job spec: .json, .yaml or .toml; - for standard input.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Start from this preset (see `spikesmith presets`).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a field: training.epochs=5.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name of your choice.")] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train what the preset needs anew, even if there is a job of it.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and show the training.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """Queue a job from FILE or a preset, after the jobs that the preset needs."""
    request = _request(file, preset, settings or [], name, labels or [])
    with connect(url) as client:
        *needed, last = client.submit_chain(**request, fresh=fresh)
        job = last.job
        for link in needed:
            _introduce(link)
        if watch:
            _headline(job, as_json)
            if unfinished := [link.job for link in needed if not link.job.is_terminal]:
                for first in unfinished:
                    _watch_first(client, first, as_json)
                _headline(job, as_json)
            _watch(client, job, as_json)
        elif as_json:
            print_json(job.raw)
        else:
            out.print(job.id)
            err.print(f"[dim]watch it with[/] {escape(program())} watch {job.id}")


def watch(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Show a job's progress until it ends. Ctrl-C leaves it running."""
    with connect(url) as client:
        _watch(client, client.job(job_id), as_json)


def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    label: Annotated[str | None, typer.Option(metavar="KEY[=VALUE]", help="Only jobs with this label.")] = None,
    preset: Annotated[str | None, typer.Option(help="Only jobs of this preset.")] = None,
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="Only jobs with this in their name or preset.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most so many.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """List jobs, newest first."""
    with connect(url) as client:
        wanted = None if label is None else label.replace("=", ":", 1)
        found = client.jobs(state=state, label=wanted, preset=preset, q=query, page_size=min(limit, 100))
        jobs = [job for job, _ in zip(found, range(limit), strict=False)]
    if as_json:
        print_json([job.raw for job in jobs])
        return
    if not jobs:
        err.print("[dim]no jobs[/]")
        return
    grid = table("id", "state", "progress", "name", "preset", "created", right=["progress"], wrap=["name"])
    for job in jobs:
        fraction = job.progress.fraction if job.progress else None
        done = f"{fraction:.0%}" if fraction is not None else ""
        name = escape(job.name or "")
        grid.add_row(job.id, state_text(job.state), done, name, escape(job.preset or ""), ago(job.created_at))
    out.print(grid)


def show_job(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Show a job: its state, its numbers, where its results are."""
    with connect(url) as client:
        job = client.job(job_id)
        if as_json:
            print_json(job.raw)
            return
        show.job(job, client.metrics(job_id), client.result(job_id) if job.state == "succeeded" else None)


def cancel(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Stop a job. It keeps what it has and leaves a checkpoint."""
    with connect(url) as client:
        _acknowledge(client.cancel(job_id), as_json)


def pause(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Stop a job for now, with a checkpoint, and give its worker back."""
    with connect(url) as client:
        _acknowledge(client.pause(job_id), as_json)


def resume(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Let a paused, cancelled or failed job go on from its last checkpoint."""
    with connect(url) as client:
        _acknowledge(client.resume(job_id), as_json)


def delete(job_id: JobId, url: Url = DEFAULT) -> None:
    """Remove a job that has ended, with all its results."""
    with connect(url) as client:
        client.delete(job_id)
    err.print(f"{escape(job_id)} deleted")


def logs(job_id: JobId, as_json: Json = False, url: Url = DEFAULT) -> None:
    """Print the log lines of a job's trainer."""
    with connect(url) as client:
        lines = client.logs(job_id)
    if as_json:
        print_json([line.raw for line in lines])
        return
    for line in lines:
        when = f"{line.at:%H:%M:%S} " if line.at else ""
        colour = {"warning": "yellow", "error": "red"}.get(line.level, "default")
        out.print(f"[dim]{when}[/][{colour}]{escape(line.message)}[/]")


def _request(
    file: str | None, preset: str | None, settings: list[str], name: str | None, labels: list[str]
) -> dict[str, Any]:
    """The arguments of `Client.submit`."""
    if (file is None) == (preset is None):
        complain("a job comes from a FILE or from --preset NAME: give one of the two")
        raise typer.Exit(ExitCode.USAGE)
    try:
        changes = parse_settings(settings)
        request: dict[str, Any] = {"name": name, "labels": parse_labels(labels)}
        if preset is not None:
            return {**request, "preset": preset, "overrides": changes}
        assert file is not None
        spec = load_file(file)
        # A file may also be what POST /v1/jobs takes for a preset: {"preset": ..., "overrides": ...}.
        if "preset" in spec:
            spec["overrides"] = changed(spec.get("overrides") or {}, changes)
            return {**request, "spec": spec}
        return {**request, "spec": changed(spec, changes)}
    except BadFile as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error


def _introduce(link: ChainedJob) -> None:
    """Says which job serves for what the preset needs."""
    job = link.job
    if link.new:
        how = "queued first"
    elif job.is_terminal:
        how = f"made {ago(job.created_at)}, is used; --fresh trains another"
    else:
        how = f"already {job.state}, is waited for; --fresh trains another"
    err.print(f"needs {escape(job.preset or '')}: {job.id} {how}")


def _headline(job: Job, as_json: bool) -> None:
    """Which job it is that is watched, or will be."""
    if not as_json:
        err.print(f"[bold]{job.id}[/] {escape(job.name or job.preset or '')}")


def _watch_first(client: Client, job: Job, as_json: bool) -> None:
    """Follows a job that another one waits for. If it fails, that one fails too, and says so."""
    _headline(job, as_json)
    job = _follow(client, job)
    if not as_json:
        show.ending(job, client.result(job.id) if job.state == "succeeded" else None)


def _watch(client: Client, job: Job, as_json: bool) -> None:
    """Follows the job to its end and exits with 1 unless it succeeded."""
    job = _follow(client, job)
    if as_json:
        print_json(job.raw)
    else:
        show.ending(job, client.result(job.id) if job.state == "succeeded" else None)
    if job.state != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _follow(client: Client, job: Job) -> Job:
    """Shows the job's training. The job as it ended."""
    try:
        follow(client, job)
    except KeyboardInterrupt:
        me = escape(program())
        err.print(f"\nThe job goes on without you. Come back with [bold]{me} watch {job.id}[/],")
        err.print(f"or stop it with [bold]{me} cancel {job.id}[/].")
        raise typer.Exit(ExitCode.DONE) from None
    return client.job(job.id)


def _acknowledge(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job.raw)
    else:
        out.print(f"{job.id} {state_text(job.state)}")
