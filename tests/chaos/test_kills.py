"""`kill -9` at several points: the job succeeds, with the same bits as one that was left alone."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import points
from tests.chaos.harness import Service, assert_same, running, until


@pytest.mark.parametrize("victim", ["trainer", "worker"])
def test_a_killed_process_costs_time_and_nothing_else(
    service: Service, spec: dict[str, Any], reference: dict[str, Any], victim: str
) -> None:
    job_id = service.submit(spec)
    for attempt, point in enumerate(points.ALL, start=1):
        until(lambda n=attempt: service.job(job_id).attempt == n, what=f"attempt {attempt}")
        point(service, job_id)
        service.signal(victim)
    job = service.wait(job_id, "succeeded")
    assert job.attempt == 1 + len(points.ALL)
    assert_same(service.outcome(job_id), reference)


def test_a_killed_api_comes_back_and_the_job_does_not_notice(
    service: Service, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    job_id = service.submit(spec)
    seen: list[int] = []
    listener = threading.Thread(target=lambda: seen.extend(event.seq for event in follow(service, job_id)))
    listener.start()
    for point in points.ALL:
        point(service, job_id)
        service.signal("api")
        with service.client() as client:
            assert until(client.is_ready)
    assert service.wait(job_id, "succeeded").attempt == 1
    assert_same(service.outcome(job_id), reference)
    listener.join(60)
    assert seen == list(range(1, len(seen) + 1)), "an event stream that breaks goes on where it broke off"
    assert len(seen) == service.job(job_id).next_event_seq - 1


def follow(service: Service, job_id: str) -> Any:
    with service.client() as client:
        yield from client.events(job_id)


def test_the_trainer_and_the_worker_killed_at_once(
    service: Service, spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    """Nobody is left to give the job back: its lease runs out."""
    job_id = service.submit(spec)
    points.mid_epoch(service, job_id)
    trainer = service.find("trainer")
    assert trainer is not None
    trainer.send_signal(signal.SIGSTOP)  # it would notice the end of its worker
    service.signal("worker")
    trainer.kill()
    job = service.wait(job_id, "succeeded")
    assert job.attempt == 2
    assert_same(service.outcome(job_id), reference)


def test_a_trainer_that_is_killed_again_and_again_fails_the_job(service: Service, spec: dict[str, Any]) -> None:
    job_id = service.submit(spec)
    for attempt in (1, 2, 3):
        until(lambda n=attempt: service.job(job_id).attempt == n, what=f"attempt {attempt}")
        service.signal("trainer")
    job = service.wait(job_id, "failed")
    assert (job.attempt, job.error_code) == (3, "trainer_crashed")
    assert "killed by SIGKILL" in (job.error_detail or "")


def test_a_killed_redis_comes_back_and_jobs_go_on_being_taken(service: Service, tiny_spec: dict[str, Any]) -> None:
    service.signal("redis")
    job_id = service.submit(tiny_spec)
    service.wait(job_id, "succeeded")


def test_the_whole_service_stopped_killed_and_cut_off(
    tmp_path: Path, spec: dict[str, Any], tiny_spec: dict[str, Any], reference: dict[str, Any]
) -> None:
    """SIGTERM, then SIGKILL of `serve`, then SIGKILL of everything: each next start carries on."""
    with running(Service(tmp_path / "home")) as service:
        job_id = service.submit(spec)
        waiting = service.submit(tiny_spec)
        points.mid_epoch(service, job_id)
        assert service.terminate() == 0
        assert service.processes() == []
        job = service.job(job_id)
        assert (job.state, job.crashes) == ("queued", 0)
        saved = service.last_checkpoint(job_id)
        assert saved is not None
        assert saved.step == service.step(job_id), "a checkpoint of the very last batch"

        service.start()
        points.just_after_a_checkpoint(service, job_id)
        service.kill()
        until(lambda: not service.processes(), 30.0, what="the end of everything that serve had started")
        assert service.job(job_id).state == "queued"

        service.start()
        until(lambda: service.job(job_id).attempt == 3, what="attempt 3")
        points.just_after_a_checkpoint(service, job_id)
        service.kill_all()
        assert service.job(job_id).state == "running"

        service.start()
        job = service.wait(job_id, "succeeded")
        assert job.attempt == 4
        service.wait(waiting, "succeeded")
        assert_same(service.outcome(job_id), reference)
        assert service.terminate() == 0
        assert service.processes() == []
