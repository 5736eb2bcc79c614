"""Moments in the life of a job at which it can be hurt."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.harness import Service, until

Point = Callable[[Service, str], None]

BATCHES_AN_EPOCH = 63
BATCHES = 5 * BATCHES_AN_EPOCH


def before_the_first_checkpoint(service: Service, job_id: str) -> None:
    """The training has begun, and nothing of it is saved."""
    until(lambda: service.events(job_id, "log"), pause_s=0.01, what="a training that begins")
    assert service.last_checkpoint(job_id) is None


def mid_epoch(service: Service, job_id: str) -> None:
    """Some batches after a checkpoint, in the middle of the second epoch."""

    def reached() -> bool:
        found = service.last_checkpoint(job_id)
        step = service.step(job_id)
        return found is not None and step > 1.4 * BATCHES_AN_EPOCH and step > found.step + 3

    until(reached, what="the middle of an epoch")


def just_after_a_checkpoint(service: Service, job_id: str) -> None:
    """The moment in which the next checkpoint is there."""
    before = service.last_checkpoint(job_id)

    def another() -> bool:
        now = service.last_checkpoint(job_id)
        return now is not None and (before is None or now.id != before.id)

    until(another, what="a new checkpoint")


def near_the_end(service: Service, job_id: str) -> None:
    """In the last tenth."""
    until(lambda: service.step(job_id) >= 0.9 * BATCHES, what="the last batches")


ALL: list[Point] = [before_the_first_checkpoint, mid_epoch, just_after_a_checkpoint, near_the_end]
