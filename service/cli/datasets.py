"""Datasets on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, Json, Url, ago, connect, err, out, print_json, table

app = typer.Typer(help="List what can be trained on; upload and remove datasets.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name.")]


@app.callback()
def list_all(context: typer.Context, as_json: Json = False, url: Url = DEFAULT) -> None:
    """List what can be trained on: what is built in, then uploads, newest first."""
    if context.invoked_subcommand is not None:
        return
    with connect(url) as client:
        found = client.datasets()
    if as_json:
        print_json([dataset.raw for dataset in found])
        return
    grid = table("name", "state", "samples", "shape", "classes", "size", "", right=["samples", "classes", "size"])
    for dataset in found:
        grid.add_row(
            f"[bold]{escape(dataset.name)}[/]",
            dataset.state,
            "" if dataset.n_samples is None else str(dataset.n_samples),
            "" if dataset.shape is None else " x ".join(map(str, dataset.shape)),
            "" if dataset.n_classes is None else str(dataset.n_classes),
            "" if dataset.size_bytes is None else size(dataset.size_bytes),
            ago(dataset.created_at),
        )
    out.print(grid)


@app.command()
def put(
    name: Name,
    path: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", exists=True, help="NPZ or zip; a folder is zipped on the way.")
    ],
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """Upload a dataset. The same again changes nothing; other data take the place of what no job needs any more."""
    with connect(url) as client:
        dataset = client.upload_dataset(name, path)
    if as_json:
        print_json(dataset.raw)
        return
    err.print(f"[bold]{escape(dataset.name)}[/]: {escape(dataset.description)}")
    out.print(escape(f"dataset: {{kind: uploaded, name: {dataset.name}}}"))


@app.command()
def delete(name: Name, url: Url = DEFAULT) -> None:
    """Remove an uploaded dataset that no job needs any more."""
    with connect(url) as client:
        client.delete_dataset(name)
    err.print(f"{escape(name)} is removed")


def size(n_bytes: int) -> str:
    """`640 B`, `1.2 MB`."""
    amount = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
