"""Receptive fields on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, JobId, Json, Url, complain, connect, err, out, print_json, table
from service.cli.saving import media_type_of, write
from service.cli.show import number
from service.client import ReceptiveFieldsInfo

MEDIA_TYPES = {
    ".png": "image/png",
    ".npz": "application/x-npz",
    ".arrow": "application/vnd.apache.arrow.stream",
}


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Results")(fields)


def fields(
    job_id: JobId,
    layer: Annotated[str | None, typer.Option(help="Only this layer.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="Only this epoch; 0: before the first.")] = None,
    neurons: Annotated[
        str | None,
        typer.Option(metavar="0:50,80", help="With --out: only these, the end of a range being out."),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="In a picture: write the class of each neuron.")] = False,
    target: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Save the newest ones: .png, .npz or .arrow.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """List the receptive fields of a job, or save the newest of those that fit with --out."""
    media_type = None if target is None else media_type_of(target, MEDIA_TYPES)
    if media_type is None and (neurons is not None or labels):
        complain("--neurons and --labels go with --out, and the list names layers only")
        raise typer.Exit(ExitCode.USAGE)
    with connect(url) as client:
        found = client.receptive_fields(job_id, epoch=epoch, layer=layer)
        if target is None or media_type is None:
            _print(found, as_json)
            return
        if not found:
            complain(
                "no receptive fields fit",
                hint=f"`spikesmith fields {job_id}` lists what was recorded; the spec asks for them with "
                "`recording.receptive_fields`.",
            )
            raise typer.Exit(ExitCode.USAGE)
        chosen = found[0]
        content = client.fields_file(job_id, chosen.id, media_type, neurons=neurons, labels=labels)
    write(target, content)
    words = f"layer {chosen.layer}, epoch {chosen.epoch}, {chosen.n_neurons} neurons, {chosen.n_features} features"
    err.print(f"{escape(str(target))}: {escape(words)}")


def _print(found: list[ReceptiveFieldsInfo], as_json: bool) -> None:
    if as_json:
        print_json([one.raw for one in found])
        return
    if not found:
        print("no receptive fields", file=sys.stderr)
        return
    numbers = ["epoch", "step", "neurons", "features", "lowest", "highest"]
    grid = table("id", "epoch", "step", "layer", *numbers[2:], "picture", right=numbers)
    for one in found:
        picture = "" if one.shape is None else " × ".join(map(str, one.shape))
        sizes = (f"{one.step:,}", escape(one.layer), str(one.n_neurons), str(one.n_features))
        grid.add_row(one.id, str(one.epoch), *sizes, number(one.low), number(one.high), picture)
    out.print(grid)
