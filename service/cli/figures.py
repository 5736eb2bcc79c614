"""`spikesmith figure`: a picture of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, JobId, Url, complain, connect, err
from service.client import NothingToDraw, figures, pictures
from service.client.figures import FigureKind

ENDINGS = (".png", ".svg", ".pdf")


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Results")(figure)


def figure(
    job_id: JobId,
    target: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where it goes: .png, .svg or .pdf.")],
    kind: Annotated[
        FigureKind,
        typer.Option(help="learning curves, or a sample of a task; auto takes what goes with the job's task."),
    ] = "auto",
    sample: Annotated[int | None, typer.Option(min=0, help="This sample instead of the first one.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="This epoch instead of the last one.")] = None,
    split: Annotated[str, typer.Option(help="Samples of this split.")] = "test",
    url: Url = DEFAULT,
) -> None:
    """Draw how a job learned, or one of its samples: rates, a recall or a sequence."""
    if target.suffix.lower() not in ENDINGS:
        complain(f"{target}: the ending chooses the format, one of {', '.join(ENDINGS)}")
        raise typer.Exit(ExitCode.USAGE)
    with connect(url) as client:
        try:
            drawn = figures.draw(client, job_id, kind, split=split, sample=sample, epoch=epoch)
        except NothingToDraw as error:
            complain(str(error), hint="`--kind learning` needs nothing but curves." if kind != "learning" else "")
            raise typer.Exit(ExitCode.USAGE) from error
    try:
        pictures.save(drawn.figure, target)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        raise typer.Exit(ExitCode.USAGE) from error
    err.print(f"{escape(str(target))}: {escape(drawn.title)}")
