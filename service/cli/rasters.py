"""Spike rasters on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, JobId, Json, Url, complain, connect, err, out, print_json, table
from service.cli.saving import media_type_of, write
from service.client import RasterInfo

MEDIA_TYPES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".npz": "application/x-npz",
    ".arrow": "application/vnd.apache.arrow.stream",
}


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Results")(raster)


def raster(
    job_id: JobId,
    layer: Annotated[str | None, typer.Option(help="Only this layer.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Only this epoch.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    sample: Annotated[int | None, typer.Option(help="Only this sample.")] = None,
    target: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Save one raster: .png, .svg, .npz or .arrow.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """List the spike rasters of a job, or save one with --out: of those that fit, the one of the last epoch."""
    media_type = None if target is None else media_type_of(target, MEDIA_TYPES)
    with connect(url) as client:
        found = client.rasters(job_id, epoch=epoch, split=split, layer=layer, sample=sample)
        if target is None or media_type is None:
            _print(found, as_json)
            return
        if not found:
            complain(
                "no raster fits",
                hint=f"`spikesmith raster {job_id}` lists what was recorded; the spec's `recording` chooses what is.",
            )
            raise typer.Exit(ExitCode.USAGE)
        chosen = best(found)
        content = client.raster_file(job_id, chosen.id, media_type)
    write(target, content)
    err.print(f"{escape(str(target))}: {describe(chosen)}")


def best(rasters: list[RasterInfo]) -> RasterInfo:
    """The one a reader most likely means: the last epoch's, of the first sample, of a layer behind the input."""
    return min(rasters, key=lambda r: (-r.epoch, r.split != "test", r.sample, r.layer == "input", r.layer))


def describe(raster: RasterInfo) -> str:
    return escape(
        f"layer {raster.layer}, epoch {raster.epoch}, {raster.split} sample {raster.sample}, "
        f"{raster.n_spikes:,} spikes of {raster.n_neurons} neurons in {raster.n_steps * raster.dt_ms:g} ms"
    )


def _print(rasters: list[RasterInfo], as_json: bool) -> None:
    if as_json:
        print_json([raster.raw for raster in rasters])
        return
    if not rasters:
        print("no rasters", file=sys.stderr)
        return
    numbers = ["epoch", "sample", "label", "predicted", "neurons", "steps", "spikes"]
    grid = table("id", "epoch", "split", "layer", *numbers[1:], right=numbers)
    for r in rasters:
        label, prediction = ("" if v is None else str(v) for v in (r.label, r.prediction))
        counts = (str(r.n_neurons), str(r.n_steps), f"{r.n_spikes:,}")
        grid.add_row(r.id, str(r.epoch), r.split, escape(r.layer), str(r.sample), label, prediction, *counts)
    out.print(grid)
