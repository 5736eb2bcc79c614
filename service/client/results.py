"""Calls about what came of a job: numbers, curves, rasters, receptive fields, weights."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from service.client.arrays import Curve, ReceptiveFields, Spikes
from service.client.connection import Connection, path_of_job
from service.client.models import CheckpointInfo, RasterInfo, ReceptiveFieldsInfo, Series

ARROW = "application/vnd.apache.arrow.stream"
NPZ = "application/x-npz"


class ResultCalls(Connection):
    """Results of a job, while it runs and after."""

    def result(self, job_id: str) -> dict[str, Any]:
        """Final metrics, confusion matrix, firing rates, cost and environment of a job that has ended."""
        answer: dict[str, Any] = self._json(f"{path_of_job(job_id)}/result")
        return answer

    def metrics(self, job_id: str) -> list[Series]:
        """A summary of each series."""
        return [Series.of(item) for item in self._pages(f"{path_of_job(job_id)}/metrics", {})]

    def curve(self, job_id: str, name: str, split: str, *, max_points: int | None = None) -> Curve:
        """The points of one series as arrays."""
        params = {"split": split, "max_points": max_points}
        columns = self._json(f"{path_of_job(job_id)}/metrics/{quote(name, safe='')}", params)
        return Curve(
            name,
            split,
            np.asarray(columns["step"], dtype=np.int64),
            np.asarray([np.nan if v is None else v for v in columns["value"]], dtype=np.float64),
        )

    def rasters(
        self,
        job_id: str,
        *,
        epoch: int | None = None,
        split: str | None = None,
        layer: str | None = None,
        sample: int | None = None,
    ) -> list[RasterInfo]:
        """What was recorded."""
        params = {"epoch": epoch, "split": split, "layer": layer, "sample": sample}
        return [RasterInfo.of(item) for item in self._pages(f"{path_of_job(job_id)}/rasters", params)]

    def spikes(
        self,
        job_id: str,
        raster_id: str,
        *,
        from_ms: float | None = None,
        to_ms: float | None = None,
        neurons: str | None = None,
    ) -> Spikes:
        """The spikes of a raster as times and neurons; `neurons` is a selection such as "0:50,80"."""
        import pyarrow as pa

        content = self.raster_file(job_id, raster_id, ARROW, from_ms=from_ms, to_ms=to_ms, neurons=neurons)
        table = pa.ipc.open_stream(content).read_all()
        return Spikes(table["time_ms"].to_numpy(), table["neuron"].to_numpy())

    def dense(
        self,
        job_id: str,
        raster_id: str,
        *,
        from_ms: float | None = None,
        to_ms: float | None = None,
        neurons: str | None = None,
    ) -> NDArray[np.bool_]:
        """The spikes of a raster as an array `[T, N]`."""
        content = self.raster_file(job_id, raster_id, NPZ, from_ms=from_ms, to_ms=to_ms, neurons=neurons)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            spikes: NDArray[np.bool_] = arrays["spikes"]
        return spikes

    def raster_file(
        self,
        job_id: str,
        raster_id: str,
        media_type: str,
        *,
        from_ms: float | None = None,
        to_ms: float | None = None,
        neurons: str | None = None,
    ) -> bytes:
        """A raster in any format the service knows: Arrow, NPZ, `image/png`, `image/svg+xml`."""
        params = {"from_ms": from_ms, "to_ms": to_ms, "neurons": neurons}
        path = f"{path_of_job(job_id)}/rasters/{quote(raster_id, safe='')}"
        return self._transport.request("GET", path, params=params, headers={"Accept": media_type}).content

    def receptive_fields(
        self, job_id: str, *, epoch: int | None = None, layer: str | None = None
    ) -> list[ReceptiveFieldsInfo]:
        """The receptive fields that were recorded, newest first."""
        pages = self._pages(f"{path_of_job(job_id)}/receptive-fields", {"epoch": epoch, "layer": layer})
        return [ReceptiveFieldsInfo.of(item) for item in pages]

    def fields(self, job_id: str, fields_id: str, *, neurons: str | None = None) -> ReceptiveFields:
        """The weights of receptive fields as arrays; `neurons` is a selection such as "0:50,80"."""
        content = self.fields_file(job_id, fields_id, NPZ, neurons=neurons)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return ReceptiveFields(arrays["neurons"], arrays["weights"], arrays.get("labels"))

    def fields_file(
        self, job_id: str, fields_id: str, media_type: str, *, neurons: str | None = None, labels: bool = False
    ) -> bytes:
        """Receptive fields in any format the service knows: Arrow, NPZ, `image/png`, where `labels` writes classes."""
        params = {"neurons": neurons, "labels": "true" if labels else None}
        path = f"{path_of_job(job_id)}/receptive-fields/{quote(fields_id, safe='')}"
        return self._transport.request("GET", path, params=params, headers={"Accept": media_type}).content

    def checkpoints(self, job_id: str) -> list[CheckpointInfo]:
        return [CheckpointInfo.of(item) for item in self._pages(f"{path_of_job(job_id)}/checkpoints", {})]

    def checkpoint(self, job_id: str, which: str | int = "best") -> bytes:
        """The weights as safetensors: `best`, `last`, or those of an epoch."""
        path = f"{path_of_job(job_id)}/checkpoints/{quote(str(which), safe='')}"
        return self._transport.request("GET", path, headers={"Accept": "*/*"}).content
