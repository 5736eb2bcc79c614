"""Calls about datasets."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike

from service.client.connection import Connection
from service.client.models import Dataset

UPLOAD_TIMEOUT_S = 1_800.0
"""The service examines all of an upload before it answers."""
PIECE_BYTES = 2**20


class DatasetCalls(Connection):
    """What can be trained on."""

    def datasets(self) -> list[Dataset]:
        """What is built in, then what was uploaded, newest first."""
        return [Dataset.of(item) for item in self._pages("/v1/datasets", {})]

    def dataset(self, name: str) -> Dataset:
        return Dataset.of(self._json(_dataset(name)))

    def upload_dataset(self, name: str, data: str | Path | Mapping[str, ArrayLike]) -> Dataset:
        """Uploads a file, a folder (which is zipped) or arrays by name, such as `{"x": x, "y": y}`.

        Jobs train on it as `{"kind": "uploaded", "name": name}`. The same again changes nothing; other data take the
        place of the old, unless jobs that have not ended need those.
        """
        with _opened(data) as file:

            def pieces() -> Iterator[bytes]:
                file.seek(0)
                while piece := file.read(PIECE_BYTES):
                    yield piece

            size = file.seek(0, io.SEEK_END)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            response = self._transport.upload("PUT", _dataset(name), pieces, headers, UPLOAD_TIMEOUT_S)
            return Dataset.of(response.json())

    def delete_dataset(self, name: str) -> None:
        """Removes an uploaded dataset that no job needs any more."""
        self._transport.request("DELETE", _dataset(name))


@contextmanager
def _opened(data: str | Path | Mapping[str, ArrayLike]) -> Iterator[BinaryIO]:
    if isinstance(data, Mapping):
        with tempfile.TemporaryFile() as file:
            arrays = {key: np.asarray(value) for key, value in data.items()}
            np.savez_compressed(file, allow_pickle=False, **arrays)
            yield file
    elif Path(data).is_dir():
        with tempfile.TemporaryFile() as file:
            _pack(Path(data), file)
            yield file
    else:
        with Path(data).open("rb") as file:
            yield file


def _pack(folder: Path, file: BinaryIO) -> None:
    """The same zip file for the same folder, whenever and wherever it is packed: the service knows it again."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not any(step.startswith(".") for step in name.split("/")):
                with path.open("rb") as source, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    while piece := source.read(PIECE_BYTES):
                        member.write(piece)


def _dataset(name: str) -> str:
    return f"/v1/datasets/{quote(name, safe='')}"
