"""Answers of the service as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from service.cli.output import ExitCode, complain


def media_type_of(target: Path, known: Mapping[str, str]) -> str:
    """What the ending of the file asks for, of the `known` ones; anything else is bad usage."""
    media_type = known.get(target.suffix.lower())
    if media_type is None:
        complain(f"{target}: the ending chooses the format, one of {', '.join(known)}")
        raise typer.Exit(ExitCode.USAGE)
    return media_type


def write(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        raise typer.Exit(ExitCode.USAGE) from error
