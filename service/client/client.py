"""The Python side of the HTTP interface."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from service.client import sse
from service.client.chain import ChainedJob, submit_chain
from service.client.connection import path_of_job
from service.client.datasets import DatasetCalls
from service.client.errors import ClientError, ServiceError, ServiceUnreachable
from service.client.illustrations import IllustrationCalls
from service.client.models import TERMINAL, Event, Job, LogLine, Preset, Validation, Worker
from service.client.results import ResultCalls
from service.client.sweeps import SweepCalls
from service.client.transport import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from service.client.figures import FigureKind


class Client(SweepCalls, ResultCalls, DatasetCalls, IllustrationCalls):
    """A connection to a Spikesmith service. Close it, or use it in a `with` statement.

    `url` and `api_key` come from SPIKESMITH_URL and SPIKESMITH_API_KEY when absent. `patience_s` is how long a call
    goes on trying while nobody answers or the service is busy.
    """

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
        return Job.of(self._json(path_of_job(job_id)))

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
        self._transport.request("DELETE", path_of_job(job_id))

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
                with self._transport.stream(f"{path_of_job(job_id)}/events", headers) as response:
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
        return [LogLine.of(item) for item in self._pages(f"{path_of_job(job_id)}/logs", {})][::-1]

    def figure(
        self,
        job_id: str,
        kind: FigureKind = "auto",
        *,
        split: str = "test",
        sample: int | None = None,
        epoch: int | None = None,
    ) -> Figure:
        """A matplotlib figure: `learning` curves, output `rates` of a sample, a `recall` sequence, the `sequence` of an
        image, what was read at `every_step`; receptive `fields`, the `confusion` of classes, `reaction_times`, or the
        bars of a `conversion`. `auto` takes what goes with the task or the training and was recorded. The last epoch's
        first sample unless another is named.

        Raises `NothingToDraw` for a job that has not recorded it.
        """
        from service.client import figures

        return figures.draw(self, job_id, kind, split=split, sample=sample, epoch=epoch).figure

    def sweep_figure(self, sweep_id: str, metrics: Sequence[str] = (), *, split: str = "validation") -> Figure:
        """A matplotlib figure of the learning curves of a sweep: a panel for each of `metrics` (if none is named, loss
        and accuracy) and in it a line for each grid point, the mean over its seeds, with a band around it.

        Raises `NothingToDraw` if no job has recorded them.
        """
        from service.client import sweep_figures

        return sweep_figures.draw_sweep(self, sweep_id, metrics, split).figure

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

    def _act(self, job_id: str, action: str) -> Job:
        return Job.of(self._transport.request("POST", f"{path_of_job(job_id)}/{action}").json())


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
