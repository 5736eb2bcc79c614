"""Presets on the command line."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, Json, Url, connect, out, print_json, table
from service.client.models import Preset


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Jobs")(presets)


def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one in full, with its spec.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT,
) -> None:
    """List the experiments that are ready to run, or show one."""
    with connect(url) as client:
        if name is not None:
            print_json(client.preset(name).raw)
            return
        found = client.presets()
    if as_json:
        print_json([preset.raw for preset in found])
        return
    grid = table("name", "title", "minutes", "sweep", "needs", right=["minutes"], wrap=["title"])
    for preset in found:
        needs = ", ".join(preset.needs.values())
        minutes = "" if preset.expected_minutes is None else f"{preset.expected_minutes:g}"
        grid.add_row(f"[bold]{escape(preset.name)}[/]", escape(preset.title), minutes, _size(preset), escape(needs))
    out.print(grid)


def _size(preset: Preset) -> str:
    """`6 x 3`, points and seeds, of a preset that is a sweep."""
    if not preset.grid and not preset.seeds:
        return ""
    return f"{math.prod(map(len, preset.grid.values()))} x {max(1, len(preset.seeds))}"
