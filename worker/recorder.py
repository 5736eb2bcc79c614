"""Events of a training run -> the store, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from service.store.attempt import (
    Attempt,
    CheckpointRow,
    LogRow,
    MetricRow,
    RasterRow,
    ReceptiveFieldsRow,
    RecordBatch,
    StopReason,
)
from service.store.engine import retrying
from snncore.events import (
    Checkpoint,
    Event,
    Finished,
    Log,
    Metric,
    Progress,
    Raster,
    ReceptiveFields,
    Started,
    Stopped,
)

STOP_REASONS: dict[str, StopReason] = {"cancel": "cancel", "pause": "pause", "shutdown": "shutdown"}


class Recorder:
    """Collects what happened since the last write and writes it in one transaction.

    A write that finds the store locked or away is tried again for `patience_s`; the training waits meanwhile, so that
    nothing is lost and nothing piles up.
    """

    def __init__(
        self,
        attempt: Attempt,
        *,
        flush_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempt = attempt
        self._flush_s = flush_s
        self._patience_s = patience_s
        self._clock = clock
        self._batch = RecordBatch()
        self._flushed_at = clock()
        self.state = "running"
        """The job's state as of the last write: `cancelling` and `pausing` are requests to stop."""
        self.ended = False
        """Whether the final state of this attempt is written."""

    def handle(self, event: Event) -> None:
        """Take one event; write if it is time, or at once if it is a checkpoint or the end."""
        batch = self._batch
        match event:
            case Progress():
                batch.progress = {
                    "epoch": event.epoch,
                    "epochs": event.epochs,
                    "step": event.step,
                    "steps": event.steps,
                    "fraction": event.fraction,
                    "eta_s": event.eta_s,
                    "samples_per_s": event.samples_per_s,
                }
            case Metric():
                batch.metrics.append(
                    MetricRow(
                        name=event.name,
                        split=event.split,
                        step=event.step,
                        epoch=event.epoch,
                        value=event.value,
                        unit=event.unit,
                        better=event.better,
                    )
                )
            case Raster():
                batch.rasters.append(
                    RasterRow(
                        epoch=event.epoch,
                        step=event.step,
                        split=event.split,
                        layer=event.layer,
                        sample=event.sample,
                        label=event.label,
                        prediction=event.prediction,
                        dt_ms=event.dt_ms,
                        spikes=event.spikes,
                        reading=event.reading,
                    )
                )
            case ReceptiveFields():
                batch.receptive_fields.append(
                    ReceptiveFieldsRow(
                        epoch=event.epoch,
                        step=event.step,
                        layer=event.layer,
                        shape=event.shape,
                        weights=event.weights,
                        labels=event.labels,
                    )
                )
            case Checkpoint():
                batch.checkpoints.append(CheckpointRow(event.kind, event.epoch, event.step, event.data))
                self.flush()
            case Log():
                self.log(event.level, event.message)
                if event.level == "warning":
                    batch.warnings.append(event.message)
            case Started():
                self.log("info", describe_start(event))
            case Finished():
                self._end(lambda last: self._attempt.succeed(last, event.result))
            case Stopped():
                self.stopped(event.reason)
        if not self.ended and self._clock() - self._flushed_at >= self._flush_s:
            self.flush()

    def log(self, level: Literal["info", "warning", "error"], message: str) -> None:
        """Add a line to the job's log."""
        self._batch.logs.append(LogRow(level, message))

    def flush(self) -> None:
        """Write what there is, and learn the job's state."""
        batch, self._batch = self._batch, RecordBatch()
        self.state = retrying(lambda: self._attempt.record(batch), self._patience_s)
        self._flushed_at = self._clock()

    def stopped(self, reason: str) -> None:
        """End the attempt as asked: the job is cancelled, paused or given back."""
        known: StopReason = STOP_REASONS[reason]
        self._end(lambda last: self._attempt.stopped(known, last))

    def fail(self, code: str, detail: str) -> None:
        """End the attempt, and the job, as failed."""
        self._end(lambda last: self._attempt.fail(code, detail, last))

    def _end(self, write: Callable[[RecordBatch], object]) -> None:
        batch, self._batch = self._batch, RecordBatch()
        retrying(lambda: write(batch), self._patience_s)
        self.ended = True


def describe_start(event: Started) -> str:
    """One log line of what a number depends on besides the spec."""
    what = ", ".join(
        f"{key} {value}" for key, value in event.environment.items() if isinstance(value, str | int | float)
    )
    origin = (
        "from the beginning"
        if event.resumed_from_step is None
        else f"from the checkpoint at step {event.resumed_from_step}"
    )
    return f"training starts {origin} ({what})"
