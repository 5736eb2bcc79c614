"""The command line. `main` is the entry point of the `spikesmith` command."""

from __future__ import annotations


def main() -> None:
    """Runs the command line and exits with its code."""
    from service.cli.app import run

    raise SystemExit(run())
