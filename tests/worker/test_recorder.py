from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from service.settings import Settings
from service.store import jobs, rasters, receptive_fields, recorded
from service.store.errors import AttemptSuperseded, StoreBusy
from service.store.tables import ReceptiveField
from snncore.events import Checkpoint, Event, Finished, Log, Metric, Progress, Raster, ReceptiveFields, Started, Stopped
from tests.worker.claimed import ClaimedJob
from worker.recorder import Recorder

ENVIRONMENT = {"torch": "2.13.0", "threads": 2}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(step: int) -> Progress:
    return Progress(epoch=1, epochs=2, step=step, steps=100, samples_per_s=10.0, eta_s=9.0)


def every_kind_of_event() -> list[Event]:
    spikes = np.eye(6, 4, dtype=np.bool_)
    return [
        Started(ENVIRONMENT),
        Log("warning", "layer hidden is silent"),
        progress(1),
        Metric("loss", "train", 1, 1, 0.5, better="min"),
        Raster(1, 1, "test", "hidden", 0, 3, 4, 1.0, spikes, {"windows_ms": [[2.0, 6.0]], "outputs": [[8.5]]}),
        ReceptiveFields(1, 1, "hidden", (2, 3, 1), np.eye(4, 6, dtype=np.float32), [7, None, 0, 1]),
        Checkpoint("last", 1, 1, b"weights"),
        Finished({"metrics": {"test": {"accuracy": 0.9}}}),
    ]


def test_every_kind_of_event_reaches_the_store(job: ClaimedJob) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=1.0)
    for event in every_kind_of_event():
        recorder.handle(event)
    assert recorder.ended
    assert job.row.state == "succeeded"
    assert job.row.result == {"metrics": {"test": {"accuracy": 0.9}}}
    assert job.row.warnings == ["layer hidden is silent"]
    assert job.row.progress == {
        "epoch": 1,
        "epochs": 2,
        "step": 1,
        "steps": 100,
        "fraction": 0.01,
        "eta_s": 9.0,
        "samples_per_s": 10.0,
    }
    assert [point["value"] for event in job.events("metric") for point in event["points"]] == [0.5]
    assert [event["layer"] for event in job.events("raster")] == ["hidden"]
    with job.database.read() as session:
        (raster,) = rasters.list_rasters(session, job.id, filters={}, before=None, limit=9)
        assert raster.reading == {"windows_ms": [[2.0, 6.0]], "outputs": [[8.5]]}
    assert [event["n_neurons"] for event in job.events("receptive_fields")] == [4]
    with job.database.read() as session:
        (fields,) = recorded.newest(session, ReceptiveField, job.id, filters={}, before=None, limit=9)
        assert (fields.shape, fields.labels) == ([2, 3, 1], [7, None, 0, 1])
        assert np.array_equal(receptive_fields.read_neurons(session, fields, [(1, 3)]), np.eye(4, 6)[1:3])
    assert [event["kind"] for event in job.events("checkpoint")] == ["last"]
    assert job.events("log")[0]["message"] == "training starts from the beginning (torch 2.13.0, threads 2)"


def test_progress_of_many_batches_is_written_once_an_interval(job: ClaimedJob) -> None:
    clock = Clock()
    recorder = Recorder(job.attempt, flush_s=0.5, patience_s=1.0, clock=clock)
    for step in range(100):
        clock.now = step / 50
        recorder.handle(progress(step))
    assert [event["step"] for event in job.events("progress")] == [25, 50, 75]


def test_a_checkpoint_is_written_at_once(job: ClaimedJob) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=1.0, clock=Clock())
    recorder.handle(Metric("loss", "train", 1, 1, 0.5))
    assert job.events("metric") == []
    recorder.handle(Checkpoint("last", 1, 1, b"weights"))
    assert len(job.events("checkpoint")) == len(job.events("metric")) == 1


def test_a_write_brings_back_what_the_researcher_asked_for(job: ClaimedJob) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=1.0)
    job.ask(jobs.cancel)
    assert recorder.state == "running"
    recorder.flush()
    assert recorder.state == "cancelling"


@pytest.mark.parametrize(("ask", "state"), [(jobs.cancel, "cancelled"), (jobs.pause, "paused"), (None, "queued")])
def test_a_stop_ends_in_the_state_that_was_asked_for(job: ClaimedJob, ask: object, state: str) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=1.0)
    if callable(ask):
        job.ask(ask)
    recorder.handle(Stopped({"cancelled": "cancel", "paused": "pause", "queued": "shutdown"}[state]))
    assert job.row.state == state


def test_nothing_is_lost_while_another_connection_locks_the_database(
    job: ClaimedJob, settings: Settings, tmp_path: Path
) -> None:
    recorder = Recorder(job.attempt, flush_s=0.0, patience_s=30.0)
    other = sqlite3.connect(tmp_path / "spikesmith.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1.0, other.execute, ["ROLLBACK"])
    release.start()
    for step in range(3):
        recorder.handle(Metric("loss", "train", step, 1, 0.5))
    release.join()
    other.close()
    assert [event["step"] for event in job.events("metric")] == [0, 1, 2]


def test_a_store_that_stays_locked_is_an_error_in_the_end(job: ClaimedJob, tmp_path: Path) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=0.3)
    other = sqlite3.connect(tmp_path / "spikesmith.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        recorder.flush()
    other.close()


def test_an_attempt_that_lost_its_job_writes_nothing_more(job: ClaimedJob) -> None:
    recorder = Recorder(job.attempt, flush_s=60.0, patience_s=1.0)
    job.attempt.abandon("lost")
    job.claim()
    with pytest.raises(AttemptSuperseded):
        recorder.handle(Finished({}))
    assert job.row.state == "running"
