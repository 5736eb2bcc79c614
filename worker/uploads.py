"""Uploaded files of the store, put where snncore looks for them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from service.store import datasets
from service.store.engine import Database, retrying
from service.store.errors import DatasetGone
from snncore.datasets.uploaded import place_of
from snncore.errors import DatasetUnavailable


def provide(database: Database, sha256: str, patience_s: float) -> Path:
    """The uploaded file with this sha256 in the cache of this machine, fetched from the store if it is not there yet.

    It appears whole and checked, or not at all, however many trainers want it at once.
    """
    file = place_of(sha256)
    if not file.is_file():
        try:
            retrying(lambda: _fetch(database, sha256, file), patience_s)
        except DatasetGone as error:
            raise DatasetUnavailable(str(error)) from error
        except OSError as error:
            raise DatasetUnavailable(
                f"the uploaded dataset cannot be kept at {file} ({error}); make room there, or name another folder in "
                "SPIKESMITH_CACHE where the worker runs"
            ) from error
    return file


def _fetch(database: Database, sha256: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix="fetching-", delete=False) as part:
        try:
            for piece in datasets.read_file(database, sha256):
                digest.update(piece)
                part.write(piece)
            part.close()
            if digest.hexdigest() != sha256:
                raise DatasetUnavailable(
                    f"the stored file of the dataset is damaged: its sha256 is {digest.hexdigest()}, not {sha256}; "
                    "delete the dataset and upload it again"
                )
            os.replace(part.name, file)
        finally:
            Path(part.name).unlink(missing_ok=True)
