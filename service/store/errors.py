"""What can go wrong between a caller and the store."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreUnavailable(StoreError):
    """The store cannot answer now; the same call may succeed a little later."""


class StoreBusy(StoreUnavailable):
    """Somebody else held a lock, or all connections, for longer than the time-out."""


class StoreUnreachable(StoreUnavailable):
    """The database cannot be reached, or the connection to it broke."""


class JobNotFound(StoreError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id!r}.")
        self.job_id = job_id


class SweepNotFound(StoreError):
    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"There is no sweep {sweep_id!r}.")
        self.sweep_id = sweep_id


class SweepNotFinished(StoreError):
    """The states of a sweep's jobs stand against what was asked for."""


class IllegalTransition(StoreError):
    """The job is in a state that does not lead to the one that was asked for."""

    def __init__(self, job_id: str, state: str, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {state}, which does not lead to {wanted}.")
        self.job_id = job_id
        self.state = state
        self.wanted = wanted


class AttemptSuperseded(StoreError):
    """The attempt that writes is not the current one any more, or the job is not being run."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of job {job_id} is not the current one any more: its writes are refused.")
        self.job_id = job_id
        self.attempt = attempt


class DamagedChunk(StoreError):
    """Stored bytes do not match the digest that was written beside them."""
