"""What is not a kill: an emptied broker, doubled messages, a locked database, requests to stop, a hanging trainer."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import create_engine, text

from service.broker import TASK_NAME, make_celery
from service.store.engine import database_url
from tests.chaos import points
from tests.chaos.harness import Service, assert_same, running, until

LOCKED_S = 10.0


def flush_broker(service: Service) -> None:
    with redis.Redis(unix_socket_path=service.broker_url.removeprefix("redis+socket://")) as broker:
        broker.flushall()


def test_jobs_whose_messages_were_lost_still_run(service: Service, tiny_spec: dict[str, Any]) -> None:
    service.signal("worker", signal.SIGSTOP)
    waiting = [service.submit(tiny_spec) for _ in range(3)]
    assert all(service.job(job_id).dispatched_at is not None for job_id in waiting)
    assert queue_length(service) >= 2, "one message may be on its way to the worker already"
    flush_broker(service)
    assert queue_length(service) == 0
    service.signal("worker", signal.SIGCONT)
    for job_id in waiting:
        assert service.wait(job_id, "succeeded").attempt == 1
    after = service.submit(tiny_spec)
    assert service.wait(after, "succeeded").attempt == 1


def test_a_doubled_message_trains_nothing_twice(
    service: Service, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    app = make_celery(service.broker_url)
    job_id = service.submit(spec)

    def ring() -> None:
        for _ in range(3):
            app.send_task(TASK_NAME, args=[job_id])

    ring()
    points.mid_epoch(service, job_id)
    ring()
    service.wait(job_id, "succeeded")
    ring()
    until(lambda: queue_length(service) == 0, what="all messages taken")
    assert service.job(job_id).attempt == 1
    assert service.states(job_id) == ["queued", "running", "succeeded"]
    points_of_events = [
        (event["step"], point["split"], point["name"])
        for event in service.events(job_id, "metric")
        for point in event["points"]
    ]
    assert len(points_of_events) == len(set(points_of_events)) == len(reference["points"])
    assert_same(service.outcome(job_id), reference)
    app.close()


def queue_length(service: Service) -> int:
    with redis.Redis(unix_socket_path=service.broker_url.removeprefix("redis+socket://")) as broker:
        return int(broker.llen("spikesmith"))  # type: ignore[arg-type]


def test_a_database_locked_for_ten_seconds_loses_nothing(
    service: Service, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    job_id = service.submit(spec)
    points.mid_epoch(service, job_id)
    other = sqlite3.connect(service.home / "spikesmith.db", isolation_level=None, timeout=30)
    other.execute("BEGIN EXCLUSIVE")
    step = service.step(job_id)
    hold(LOCKED_S)
    assert service.step(job_id) == step, "the lock did not lock"
    other.execute("ROLLBACK")
    other.close()
    assert service.wait(job_id, "succeeded").attempt == 1
    assert_same(service.outcome(job_id), reference)


def hold(seconds: float) -> None:
    """The one thing that is about time itself."""
    time.sleep(seconds)


def test_a_job_is_paused_cancelled_and_resumed_without_a_trace(
    service: Service, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    job_id = service.submit(spec)
    with service.client() as client:
        points.mid_epoch(service, job_id)
        client.pause(job_id)
        stopped_at(service, job_id, "paused")
        client.resume(job_id)
        until(lambda: service.job(job_id).attempt == 2, what="attempt 2")
        points.just_after_a_checkpoint(service, job_id)
        client.cancel(job_id)
        stopped_at(service, job_id, "cancelled")
        client.resume(job_id)
    assert service.wait(job_id, "succeeded").attempt == 3
    assert_same(service.outcome(job_id), reference)


def stopped_at(service: Service, job_id: str, state: str) -> None:
    """The job stops in `state` at once, with a checkpoint of where it stopped, short of its end."""
    job = service.wait(job_id, state, timeout_s=30)
    saved = service.last_checkpoint(job_id)
    assert saved is not None
    assert saved.step == service.step(job_id) < points.BATCHES
    assert job.stop_requested_at is None
    until(lambda: service.find("trainer") is None, what="the trainer's end")


def test_a_trainer_that_hangs_is_killed_after_the_grace(service: Service, spec: dict[str, Any]) -> None:
    job_id = service.submit(spec)
    points.mid_epoch(service, job_id)
    pid = service.signal("trainer", signal.SIGSTOP)
    with service.client() as client:
        client.cancel(job_id)
    service.wait(job_id, "cancelled", timeout_s=60)
    until(lambda: all(process.pid != pid for process in service.processes()), what="the end of the trainer")
    assert service.last_checkpoint(job_id) is not None, "what was saved before is kept"


def test_what_a_machine_lacks_is_said(service: Service, tiny_spec: dict[str, Any]) -> None:
    no_gpu = service.submit(tiny_spec | {"device": "cuda:7"})
    no_data = service.submit(tiny_spec | {"dataset": {"kind": "mnist"}})
    no_sense = service.insert(tiny_spec | {"seed": -1})
    codes = [service.wait(job_id, "failed").error_code for job_id in (no_gpu, no_data, no_sense)]
    assert codes == ["device_unavailable", "dataset_unavailable", "invalid_spec"]
    assert "cuda:7" in (service.job(no_gpu).error_detail or "")
    assert "train-images-idx3-ubyte" in (service.job(no_data).error_detail or "")
    assert "seed" in (service.job(no_sense).error_detail or "")


def test_the_memory_of_a_worker_stays_flat_over_many_jobs(service: Service, tiny_spec: dict[str, Any]) -> None:
    """Jobs that fail before torch is imported: all that the worker does for a job, and next to nothing else."""

    def resident_after(n: int) -> int:
        made = [service.insert(tiny_spec | {"seed": -1}) for _ in range(n)]
        for job_id in made:
            service.wait(job_id, "failed")
        worker = service.find("worker")
        assert worker is not None
        return int(worker.memory_info().rss)

    before = resident_after(5)
    after = resident_after(30)
    assert after - before < 3 * 2**20, f"the worker grew by {(after - before) / 2**20:.1f} MB over 30 jobs"


def test_on_postgresql_too(
    tmp_path: Path, postgres_database_url: str, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    """One kill of each, then every table locked for ten seconds, in one job."""
    with running(Service(tmp_path / "home", postgres_database_url)) as service:
        job_id = service.submit(spec)
        points.before_the_first_checkpoint(service, job_id)
        service.signal("trainer")
        points.just_after_a_checkpoint(service, job_id)
        service.signal("api")
        points.mid_epoch(service, job_id)
        service.signal("worker")
        until(lambda: service.job(job_id).attempt == 3, what="attempt 3")
        points.just_after_a_checkpoint(service, job_id)
        engine = create_engine(database_url(postgres_database_url))
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE job, job_event, metric_point, checkpoint IN EXCLUSIVE MODE"))
            step = service.step(job_id)
            hold(LOCKED_S)
            assert service.step(job_id) == step, "the lock did not lock"
        engine.dispose()
        assert service.wait(job_id, "succeeded").attempt == 3
        assert_same(service.outcome(job_id), reference)
        assert service.terminate() == 0
        assert service.processes() == []
