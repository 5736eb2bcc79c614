"""The Python side of the HTTP interface."""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray

from service.client import sse
from service.client.chain import ChainedJob, submit_chain
from service.client.errors import ClientError, ServiceError, ServiceUnreachable
from service.client.models import (
    TERMINAL,
    CheckpointInfo,
    Curve,
    Event,
    Job,
    LogLine,
    Preset,
    RasterInfo,
    Series,
    Spikes,
    Sweep,
    SweepTable,
    Validation,
    Worker,
)
from service.client.transport import Transport, describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.client.figures import FigureKind

DEFAULT_URL = "http://127.0.0.1:8321"
ARROW = "application/vnd.apache.arrow.stream"
NPZ = "application/x-npz"
MARKDOWN = "text/markdown"


class Client:
    """A connection to a Spikesmith service. Close it, or use it in a `with` statement.

    `url` and `api_key` come from SPIKESMITH_URL and SPIKESMITH_API_KEY when absent. `patience_s` is how long a call
    goes on trying while nobody answers or the service is busy.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 2.0,
    ) -> None:
        self.url = (url or os.environ.get("SPIKESMITH_URL") or DEFAULT_URL).rstrip("/")
        key = api_key or os.environ.get("SPIKESMITH_API_KEY") or None
        self._transport = Transport(self.url, key, timeout_s, patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def submit(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        preset: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queues a job, from a spec or from a preset.

        Sent twice with the same `idempotency_key` (a fresh one is made when absent), it queues one job.
        """
        key = idempotency_key or uuid.uuid4().hex
        response = self._transport.request(
            "POST",
            "/v1/jobs",
            body=_submission(spec, preset, overrides, name, labels),
            headers={"Idempotency-Key": key},
            repeatable=True,
        )
        return Job.of(response.json())

    def submit_chain(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        preset: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> list[ChainedJob]:
        """Queues a job, and before it the jobs that its preset needs and that `overrides` do not name.

        For such a need serves the newest job that runs the needed preset as it stands, one that has succeeded before
        one that is on its way; without any, or with `fresh`, a new one is queued, which gets the same labels. The job
        itself comes last in the answer, behind those that it needs.
        """
        return submit_chain(self, _submission(spec, preset, overrides, name, labels), fresh)

    def newest(self, preset: str, state: str) -> Job | None:
        """The newest job in a state that runs a preset as it stands."""
        return next((job for job in self.jobs(preset=preset, state=state) if job.preset_unchanged), None)

    def validate(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        preset: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Validation:
        """What a spec resolves to and what it would cost. Queues nothing."""
        body = _submission(spec, preset, overrides, None, None)
        return Validation.of(self._transport.request("POST", "/v1/jobs/validate", body=body, repeatable=True).json())

    def job(self, job_id: str) -> Job:
        return Job.of(self._json(_job(job_id)))

    def jobs(
        self,
        *,
        state: str | None = None,
        label: str | None = None,
        preset: str | None = None,
        sweep: str | None = None,
        q: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[Job]:
        """All jobs that fit, newest first; pages are fetched as they are needed. `label` is `key` or `key:value`."""
        params = {"state": state, "label": label, "preset": preset, "sweep": sweep, "q": q, "limit": page_size}
        return (Job.of(item) for item in self._pages("/v1/jobs", params))

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop at its next batch, with a checkpoint."""
        return self._act(job_id, "cancel")

    def pause(self, job_id: str) -> Job:
        """Asks a job to stop with a checkpoint and to give its worker back."""
        return self._act(job_id, "pause")

    def resume(self, job_id: str) -> Job:
        """Lets a paused, cancelled or failed job go on from its last checkpoint."""
        return self._act(job_id, "resume")

    def delete(self, job_id: str) -> None:
        """Removes a job that has ended, with all that it stored."""
        self._transport.request("DELETE", _job(job_id))

    def wait(self, job_id: str, *, timeout_s: float | None = None, poll_s: float = 0.5) -> Job:
        """The job once it has ended, however it ended. Raises `TimeoutError` if that takes longer than `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (job := self.job(job_id)).is_terminal:
            if deadline is not None and time.monotonic() + poll_s > deadline:
                raise TimeoutError(f"{job_id} is still {job.state} after {timeout_s:g} s")
            time.sleep(poll_s)
        return job

    def events(self, job_id: str, *, after: int = 0, reconnect_s: float = 60.0) -> Iterator[Event]:
        """What happened to a job after event number `after`, and what happens, until the job has ended.

        A connection that breaks is made again where it broke off, so that no event is lost or doubled; after
        `reconnect_s` seconds without an answer `ServiceUnreachable` is raised.
        """
        last_answer = time.monotonic()
        pause = 0.2
        while True:
            ended = False
            received = 0
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
                with self._transport.stream(f"{_job(job_id)}/events", headers) as response:
                    pause = 0.2
                    for event in sse.parse(response.iter_lines()):
                        after = max(after, event.seq)
                        received += 1
                        if event.type == "state":
                            ended = event.data.get("state") in TERMINAL
                        yield event
                    last_answer = time.monotonic()
                if ended or (received == 0 and self.job(job_id).is_terminal):
                    return
            except (httpx.TransportError, ClientError) as error:
                if isinstance(error, ServiceError) and error.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                if received:
                    last_answer = time.monotonic()
                if time.monotonic() + pause > last_answer + reconnect_s:
                    if isinstance(error, ClientError):
                        raise
                    raise ServiceUnreachable(self.url, describe(error)) from error
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def logs(self, job_id: str) -> list[LogLine]:
        """The log lines of the trainer, oldest first."""
        # Lists come newest first; a log is read the other way round.
        return [LogLine.of(item) for item in self._pages(f"{_job(job_id)}/logs", {})][::-1]

    # --- sweeps -------------------------------------------------------------------------------------------------------

    def submit_sweep(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        preset: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        seeds: Sequence[int] | None = None,
        max_parallel: int | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sweep:
        """Queues a job for each combination of grid values and each seed.

        `grid` has the values of each path (`{"training.epochs": [5, 10]}`), `points` fields that change together.
        Sent twice with the same `idempotency_key` (a fresh one is made when absent), it makes one sweep.
        """
        given = {
            "spec": spec,
            "preset": preset,
            "overrides": overrides,
            "grid": grid,
            "points": points,
            "seeds": seeds,
            "max_parallel": max_parallel,
            "name": name,
            "labels": labels,
        }
        body = {key: value for key, value in given.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        response = self._transport.request("POST", "/v1/sweeps", body=body, headers=headers, repeatable=True)
        return Sweep.of(response.json())

    def sweep(self, sweep_id: str) -> Sweep:
        """The sweep with its jobs."""
        return Sweep.of(self._json(_sweep(sweep_id)))

    def sweeps(self, *, page_size: int | None = None) -> Iterator[Sweep]:
        """All sweeps, newest first, without their jobs."""
        return (Sweep.of(item) for item in self._pages("/v1/sweeps", {"limit": page_size}))

    def sweep_table(self, sweep_id: str) -> SweepTable:
        """Mean, standard deviation and confidence of each final metric, for each grid point."""
        return SweepTable.of(self._json(f"{_sweep(sweep_id)}/table"))

    def sweep_table_text(self, sweep_id: str, media_type: str = MARKDOWN) -> str:
        """The table as `text/markdown` (the main metrics), `text/csv` or `application/json` (all there is)."""
        headers = {"Accept": media_type}
        return self._transport.request("GET", f"{_sweep(sweep_id)}/table", headers=headers).text

    def cancel_sweep(self, sweep_id: str) -> Sweep:
        """Asks all jobs that have not ended to stop."""
        return Sweep.of(self._transport.request("POST", f"{_sweep(sweep_id)}/cancel").json())

    def resume_sweep(self, sweep_id: str) -> Sweep:
        """Lets all paused, cancelled and failed jobs go on from their last checkpoints."""
        return Sweep.of(self._transport.request("POST", f"{_sweep(sweep_id)}/resume").json())

    def delete_sweep(self, sweep_id: str) -> None:
        """Removes a sweep whose jobs have all ended, with the jobs."""
        self._transport.request("DELETE", _sweep(sweep_id))

    def wait_sweep(self, sweep_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0) -> Sweep:
        """The sweep once all its jobs have ended, however. Raises `TimeoutError` after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (sweep := self.sweep(sweep_id)).is_finished:
            if deadline is not None and time.monotonic() + poll_s > deadline:
                raise TimeoutError(f"{sweep_id} has {sweep.n_ended} of {sweep.n_jobs} jobs done after {timeout_s:g} s")
            time.sleep(poll_s)
        return sweep

    # --- results ------------------------------------------------------------------------------------------------------

    def result(self, job_id: str) -> dict[str, Any]:
        """Final metrics, confusion matrix, firing rates, cost and environment of a job that has ended."""
        answer: dict[str, Any] = self._json(f"{_job(job_id)}/result")
        return answer

    def metrics(self, job_id: str) -> list[Series]:
        """A summary of each series."""
        return [Series.of(item) for item in self._pages(f"{_job(job_id)}/metrics", {})]

    def curve(self, job_id: str, name: str, split: str, *, max_points: int | None = None) -> Curve:
        """The points of one series as arrays."""
        params = {"split": split, "max_points": max_points}
        columns = self._json(f"{_job(job_id)}/metrics/{quote(name, safe='')}", params)
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
        return [RasterInfo.of(item) for item in self._pages(f"{_job(job_id)}/rasters", params)]

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
        path = f"{_job(job_id)}/rasters/{quote(raster_id, safe='')}"
        return self._transport.request("GET", path, params=params, headers={"Accept": media_type}).content

    def figure(
        self,
        job_id: str,
        kind: FigureKind = "auto",
        *,
        split: str = "test",
        sample: int | None = None,
        epoch: int | None = None,
    ) -> Figure:
        """A matplotlib figure: `learning` curves, output `rates` of a sample, a `recall` sequence, or the `sequence` of
        an image; `auto` takes what goes with the task. The last epoch's first sample unless another is named.

        Raises `NothingToDraw` for a job that has not recorded it.
        """
        from service.client import figures

        return figures.draw(self, job_id, kind, split=split, sample=sample, epoch=epoch).figure

    def checkpoints(self, job_id: str) -> list[CheckpointInfo]:
        return [CheckpointInfo.of(item) for item in self._pages(f"{_job(job_id)}/checkpoints", {})]

    def checkpoint(self, job_id: str, which: str | int = "best") -> bytes:
        """The weights as safetensors: `best`, `last`, or those of an epoch."""
        path = f"{_job(job_id)}/checkpoints/{quote(str(which), safe='')}"
        return self._transport.request("GET", path, headers={"Accept": "*/*"}).content

    # --- the rest -----------------------------------------------------------------------------------------------------

    def presets(self) -> list[Preset]:
        return [Preset.of(item) for item in self._pages("/v1/presets", {})]

    def preset(self, name: str) -> Preset:
        return Preset.of(self._json(f"/v1/presets/{quote(name)}"))

    def workers(self) -> list[Worker]:
        return [Worker.of(item) for item in self._pages("/v1/workers", {})]

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a job spec."""
        answer: dict[str, Any] = self._json("/v1/schema/job")
        return answer

    def is_ready(self) -> bool:
        """Whether the service answers and says that database, broker and a worker are there."""
        try:
            return self._transport.request("GET", "/readyz").is_success
        except ClientError:
            return False

    def _json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._transport.request("GET", path, params=params).json()

    def _act(self, job_id: str, action: str) -> Job:
        return Job.of(self._transport.request("POST", f"{_job(job_id)}/{action}").json())

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self._json(path, {**params, "cursor": cursor})
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _sweep(sweep_id: str) -> str:
    return f"/v1/sweeps/{quote(sweep_id, safe='')}"


def _submission(
    spec: Mapping[str, Any] | None,
    preset: str | None,
    overrides: Mapping[str, Any] | None,
    name: str | None,
    labels: Mapping[str, str] | None,
) -> dict[str, Any]:
    if (spec is None) == (preset is None):
        raise ValueError("a job is made from a spec or from a preset: give one of the two")
    if spec is not None and overrides:
        raise ValueError("overrides go with a preset; change the spec itself instead")
    body: dict[str, Any] = dict(spec) if spec is not None else {"preset": preset}
    if overrides:
        body["overrides"] = dict(overrides)
    if name is not None:
        body["name"] = name
    if labels:
        body["labels"] = dict(labels)
    return body
