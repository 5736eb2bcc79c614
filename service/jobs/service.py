"""What can be done with jobs, between the routes and the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.auth import Caller
from service.jobs import embedding
from service.jobs.confusion import most_confused
from service.jobs.schemas import JobView, Reference, Result, view_of
from service.jobs.submission import Submission, overtaken
from service.once import digest, once
from service.problems import Problem
from service.settings import Settings
from service.store import jobs, metrics, needs
from service.store.engine import Database
from service.store.errors import DatasetGone, JobNotFound, NeededJobEnded
from service.store.tables import Job, MetricSeries
from service.store.transitions import TERMINAL
from snncore.presets import Preset, UnknownPreset, get_preset


def views(session: Session, found: list[Job]) -> list[JobView]:
    """Jobs with their labels, summaries and neighbours: three more queries however many they are, and one for each
    network that presets among them need."""
    ids = [job.id for job in found]
    labels = jobs.labels_of(session, ids)
    series = metrics.series_of_jobs(session, ids)
    neighbours = needs.of_jobs(session, ids)
    return [view_of(job, labels[job.id], series[job.id], neighbours[job.id], _unchanged(session, job)) for job in found]


def view(session: Session, job: Job) -> JobView:
    return views(session, [job])[0]


def submit(
    database: Database,
    settings: Settings,
    caller: Caller,
    submission: Submission,
    body: Mapping[str, Any],
    idempotency_key: str | None,
) -> tuple[JobView, bool]:
    """Queue a job, or find the one that the same request queued before. Answers whether it is new."""
    return once(
        database,
        settings,
        caller,
        idempotency_key,
        digest(body),
        JobView,
        lambda session: _create(session, settings, caller, submission),
        lambda made: {"job_id": made.id},
    )


def _create(session: Session, settings: Settings, caller: Caller, submission: Submission) -> JobView:
    demand_room_in_queue(session, settings, caller, 1)
    try:
        job = jobs.create(
            session,
            spec=submission.spec,
            name=submission.name,
            labels=submission.labels,
            preset=submission.preset,
            api_key_id=caller.key_id,
            warnings=submission.warnings,
            needed=submission.needs,
            dataset_sha256=submission.dataset_sha256,
        )
    except (JobNotFound, NeededJobEnded, DatasetGone) as error:
        raise overtaken(error, submission.preset) from None
    return view(session, job)


def demand_room_in_queue(session: Session, settings: Settings, caller: Caller, wanted: int) -> None:
    """429 if so many more jobs of one API key would be too many."""
    waiting = jobs.count_queued(session, caller.key_id)
    if waiting + wanted > settings.max_queued_jobs:
        detail = (
            f"The limit max_queued_jobs = {settings.max_queued_jobs} is reached: {waiting} jobs wait already, "
            f"and this would add {wanted}. Wait until some have started."
        )
        raise Problem(429, "too_many_queued_jobs", detail, headers={"Retry-After": "30"})


def result_of(session: Session, job: Job, series: list[MetricSeries]) -> Result:
    """The result of a job that has ended; 409 while it has not."""
    if job.state not in TERMINAL:
        detail = f"Job {job.id} is {job.state}; it has a result once it is succeeded, failed or cancelled."
        raise Problem(409, "job_not_finished", detail)
    stored = dict(job.result or {})
    final: dict[str, Any] = stored.pop("metrics", None) or {}
    if job.result is None:
        for one in series:
            final.setdefault(one.split, {})[one.name] = one.last
    known = {name: stored.pop(name, None) for name in ("confusion_matrix", "firing", "cost", "environment")}
    reference = _reference(session, job, final)
    confused = most_confused(known["confusion_matrix"])
    return Result(
        job_id=job.id,
        state=job.state,
        metrics=final,
        most_confused=confused,
        reference=reference,
        **known,
        **stored,
    )


def _preset_of(job: Job) -> Preset | None:
    if job.preset is None:
        return None
    try:
        return get_preset(job.preset)
    except UnknownPreset:  # it was there when the job was queued, by an older version
        return None


def _unchanged(session: Session, job: Job) -> bool | None:
    """Whether a job runs its preset as it stands, and so do the jobs that the preset needs."""
    preset = _preset_of(job)
    if preset is None:
        return None
    if not preset.needs:
        return job.spec == preset.spec
    if job.spec != embedding.embed_as(preset.spec, job.spec):
        return False
    for path, name in preset.needs.items():
        try:
            needed = jobs.get(session, embedding.at(job.spec, path.split(".")))
        except JobNotFound:  # both were deleted just now
            return False
        if needed.preset != name or not _unchanged(session, needed):
            return False
    return True


def _reference(session: Session, job: Job, final: Mapping[str, Any]) -> Reference | None:
    preset = _preset_of(job)
    if preset is None:
        return None
    published, ceiling = preset.published, preset.ceiling
    if published is None:
        return None
    value = (final.get(published.split) or {}).get(published.metric)
    return Reference(
        preset=preset.name,
        metric=published.metric,
        split=published.split,
        published=published.value,
        source=published.source,
        ceiling=None if ceiling is None else ceiling.value,
        value=value,
        difference=None if value is None else value - published.value,
        same_spec=bool(_unchanged(session, job)),
    )
