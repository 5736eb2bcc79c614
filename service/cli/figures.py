"""`spikesmith figure`: a picture of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, Url, complain, connect, err
from service.client import NothingToDraw, figures, pictures, sweep_figures
from service.client.figures import FigureKind
from service.client.outcome_figures import OUTCOMES

ENDINGS = (".png", ".svg", ".pdf")
SWEEP = "swp_"
"""What the ids of sweeps begin with."""


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Results")(figure)


def figure(
    of: Annotated[str, typer.Argument(metavar="ID", help="The id of a job or of a sweep.")],
    target: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where it goes: .png, .svg or .pdf.")],
    kind: Annotated[
        FigureKind,
        typer.Option(help="learning curves, a sample, or an outcome; auto takes what goes with task and training."),
    ] = "auto",
    sample: Annotated[int | None, typer.Option(min=0, help="This sample instead of the first one.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="This epoch instead of the last one.")] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Of a sweep: draw this one. May be given more than once.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Samples of this split (test), or curves of a sweep (validation).")
    ] = None,
    url: Url = DEFAULT,
) -> None:
    """Draw how a job or the jobs of a sweep learned; a sample: rates, a recall, a sequence, a class over time; or an
    outcome: receptive fields, confused classes, reaction times, a conversion."""
    if target.suffix.lower() not in ENDINGS:
        complain(f"{target}: the ending chooses the format, one of {', '.join(ENDINGS)}")
        raise typer.Exit(ExitCode.USAGE)
    is_sweep = of.startswith(SWEEP)
    if unfit := _unfit(is_sweep, kind, sample, epoch, metrics):
        complain(unfit)
        raise typer.Exit(ExitCode.USAGE)
    with connect(url) as client:
        try:
            if is_sweep:
                drawn = sweep_figures.draw_sweep(client, of, metrics or (), split or "validation")
            else:
                drawn = figures.draw(client, of, kind, split=split or "test", sample=sample, epoch=epoch)
        except NothingToDraw as error:
            of_samples = not is_sweep and kind != "learning" and kind not in OUTCOMES
            complain(str(error), hint="`--kind learning` needs nothing but curves." if of_samples else "")
            raise typer.Exit(ExitCode.USAGE) from error
    try:
        pictures.save(drawn.figure, target)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        raise typer.Exit(ExitCode.USAGE) from error
    err.print(f"{escape(str(target))}: {escape(drawn.title)}")


def _unfit(
    is_sweep: bool, kind: FigureKind, sample: int | None, epoch: int | None, metrics: list[str] | None
) -> str | None:
    """Which option does not go with what is drawn."""
    if is_sweep and (kind not in ("auto", "learning") or sample is not None or epoch is not None):
        return "of a sweep there are learning curves only: leave out --kind, --sample and --epoch"
    if kind in OUTCOMES and (sample is not None or (epoch is not None and kind != "fields")):
        return f"--kind {kind} draws no sample" + ("" if kind == "fields" else ", and the end of the training")
    if metrics and not is_sweep:
        return "--metric goes with a sweep; the learning curves of a job are those of loss and accuracy"
    return None
