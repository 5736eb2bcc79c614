"""Puts the commands together, and turns what can go wrong into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from service.cli import (
    bench,
    datasets,
    demo,
    doctor,
    fields,
    figures,
    jobs,
    keys,
    presets,
    rasters,
    reproduce,
    running,
    sweeps,
)
from service.cli.output import ExitCode, complain, program
from service.client import ServiceError, ServiceUnreachable

app = typer.Typer(
    name="spikesmith",
    help="Train spiking neural networks as a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 the job failed or was cancelled, 2 bad usage, 3 the service is not reachable.",
)
for module in (running, jobs, sweeps, rasters, fields, figures, reproduce, presets, doctor, bench, demo):
    module.register(app)
app.add_typer(sweeps.app, name="sweeps", rich_help_panel="Jobs")
app.add_typer(datasets.app, name="datasets", rich_help_panel="Jobs")
app.add_typer(keys.app, name="keys")


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="spikesmith")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except ServiceUnreachable as error:
        complain(str(error), hint=f"Start it with `{program()} serve`, or name another address with --url.")
        return ExitCode.UNREACHABLE
    except ServiceError as error:
        hint = ""
        if error.status in (401, 403):
            hint = f"Put a key into SPIKESMITH_API_KEY; `{program()} keys create NAME` on the server makes one."
        complain(error.detail, [(e.field, e.msg) for e in error.errors], hint=hint)
        return ExitCode.UNREACHABLE if error.status >= 500 else ExitCode.USAGE
    except BrokenPipeError:
        # `spikesmith jobs | head`: nobody reads any more. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE
