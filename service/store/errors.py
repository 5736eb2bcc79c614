"""What can go wrong between a caller and the store."""

from __future__ import annotations

from collections.abc import Sequence


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


class DatasetNotFound(StoreError):
    def __init__(self, name: str) -> None:
        super().__init__(f"No dataset {name!r} has been uploaded.")
        self.name = name


class DatasetInUse(StoreError):
    """Jobs that have not ended need the dataset that was to be removed or replaced."""

    def __init__(self, name: str, jobs: Sequence[str]) -> None:
        shown = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
        super().__init__(
            f"Dataset {name!r} is needed by jobs that have not ended: {shown}. Wait for them or cancel them first; "
            "other data can have another name."
        )
        self.name = name
        self.jobs = list(jobs)


class DatasetGone(StoreError):
    """The uploaded file that a job is to train on is not stored any more."""

    def __init__(self, sha256: str, job_id: str | None = None) -> None:
        who = "the job trains" if job_id is None else f"job {job_id} trains"
        super().__init__(
            f"The dataset that {who} on was removed; upload the same file again (sha256 {sha256}), under any name."
        )
        self.sha256 = sha256
        self.job_id = job_id


class IllegalTransition(StoreError):
    """The job is in a state that does not lead to the one that was asked for."""

    def __init__(self, job_id: str, state: str, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {state}, which does not lead to {wanted}.")
        self.job_id = job_id
        self.state = state
        self.wanted = wanted


class NeededJobEnded(StoreError):
    """A job that another one needs will not succeed unless somebody resumes it."""

    def __init__(self, job_id: str, state: str) -> None:
        how = {"failed": "has failed", "cancelled": "was cancelled"}.get(state, f"is {state}")
        super().__init__(f"Job {job_id}, which this one needs, {how}: resume that one first.")
        self.job_id = job_id
        self.state = state


class JobNeeded(StoreError):
    """Other jobs need the job that was to be removed."""

    def __init__(self, job_id: str, dependents: Sequence[str]) -> None:
        shown = ", ".join(dependents[:5]) + (f" and {len(dependents) - 5} more" if len(dependents) > 5 else "")
        super().__init__(f"Job {job_id} is needed by {shown}: delete what needs it first.")
        self.job_id = job_id
        self.dependents = list(dependents)


class AttemptSuperseded(StoreError):
    """The attempt that writes is not the current one any more, or the job is not being run."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of job {job_id} is not the current one any more: its writes are refused.")
        self.job_id = job_id
        self.attempt = attempt


class DamagedChunk(StoreError):
    """Stored bytes do not match the digest that was written beside them."""
