"""The routes under /v1/jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.answers import json_answer
from service.auth import Reader, Submitter
from service.dependencies import (
    ConfigDep,
    DatabaseDep,
    DoorbellDep,
    JobDep,
    JsonObject,
    StrictRoute,
    Text,
    known_query_only,
)
from service.jobs import service, stream
from service.jobs.schemas import LABEL_KEY, JobView, LogLine, Result, Validation, log_line_of
from service.jobs.submission import read_submission
from service.once import IdempotencyKey, announce, body_of, created
from service.paging import Limit, Page, capped, cursor_of, decode_number, decode_text, encode
from service.problems import problems
from service.store import events, jobs, metrics
from service.store.transitions import TERMINAL, State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute, dependencies=[Depends(known_query_only)])

SUBMISSION = body_of("JobSubmission")


@router.post(
    "",
    status_code=201,
    response_model=JobView,
    responses=problems(409, 413, 415, 422, 429, also={201: created("job")}),
    openapi_extra=SUBMISSION,
)
def submit_job(
    caller: Submitter,
    request: Request,
    body: JsonObject,
    database: DatabaseDep,
    config: ConfigDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a job."""
    submission = read_submission(body, config, database)
    job, new = service.submit(database, config, caller, submission, body, idempotency_key)
    announce(response, f"/v1/jobs/{job.id}", new=new)
    if new:
        # After the answer: the job is safe in its row, and a broker that is slow or away is not the client's business.
        tasks.add_task(doorbell.ring, job.id)
    return job


@router.post("/validate", response_model=Validation, responses=problems(413, 415, 422), openapi_extra=SUBMISSION)
def validate_job(caller: Reader, body: JsonObject, config: ConfigDep, database: DatabaseDep) -> Validation:
    """Check a job without queueing it: the resolved spec, what it will cost, and what to think about."""
    submission = read_submission(body, config, database)
    return Validation(spec=submission.spec, estimate=submission.estimate, warnings=submission.warnings)


_LABEL_FILTER = LABEL_KEY.removesuffix("$") + r"(:[^\x00]{0,255})?$"


@router.get("", response_model=Page[JobView], responses=problems(422))
def list_jobs(
    caller: Reader,
    database: DatabaseDep,
    state: Annotated[list[State] | None, Query(description="Any of these.", max_length=8)] = None,
    label: Annotated[
        list[Annotated[str, Query(pattern=_LABEL_FILTER)]] | None,
        Query(description="`key` or `key:value`; all of them must hold.", max_length=20, examples=[["study:1"]]),
    ] = None,
    preset: Annotated[Text | None, Query(description="Made from this preset.")] = None,
    sweep: Annotated[Text | None, Query(description="Part of this sweep.")] = None,
    needs: Annotated[Text | None, Query(description="Made of the trained network of this job.")] = None,
    needed_by: Annotated[Text | None, Query(description="Of whose trained network this job is made.")] = None,
    q: Annotated[Text | None, Query(description="In the name or preset, or the beginning of the id.")] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("j")] = None,
) -> Page[JobView]:
    """Jobs, newest first."""
    before = decode_text(cursor)
    filters = jobs.Filters(
        states=state or (),
        labels=[_label_filter(one) for one in label or ()],
        preset=preset,
        sweep=sweep,
        needs=needs,
        needed_by=needed_by,
        text=q,
    )
    limit = capped(limit)
    with database.read() as session:
        found = jobs.list_jobs(session, filters, before=before, limit=limit + 1)
        page = service.views(session, found[:limit])
    return Page(items=page, next_cursor=encode("j", page[-1].id) if len(found) > limit else None)


def _label_filter(text: str) -> tuple[str, str | None]:
    key, colon, value = text.partition(":")
    return key, value if colon else None


@router.get("/{job_id}", response_model=JobView, responses=problems(404, 422))
def show_job(caller: Reader, request: Request, job: JobDep, database: DatabaseDep) -> Response:
    """One job."""
    with database.read() as session:
        return json_answer(request, service.view(session, job), final=job.state in TERMINAL)


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409, 422))
def delete_job(caller: Submitter, job: JobDep, database: DatabaseDep) -> Response:
    """Remove a job that has ended, with all that it stored. One that others need has to outlive them."""
    with database.write() as session:
        jobs.remove(session, job.id)
    return Response(status_code=204)


@router.post("/{job_id}/cancel", status_code=202, response_model=JobView, responses=problems(404, 409, 422))
def cancel_job(caller: Submitter, job: JobDep, database: DatabaseDep) -> JobView:
    """Stop a job for good: a running one at its next batch, with a checkpoint; any other at once."""
    with database.write() as session:
        jobs.cancel(session, job.id)
        return service.view(session, jobs.get(session, job.id))


@router.post("/{job_id}/pause", status_code=202, response_model=JobView, responses=problems(404, 409, 422))
def pause_job(caller: Submitter, job: JobDep, database: DatabaseDep) -> JobView:
    """Stop a job for now, with a checkpoint, and give its worker back."""
    with database.write() as session:
        jobs.pause(session, job.id)
        return service.view(session, jobs.get(session, job.id))


@router.post("/{job_id}/resume", status_code=202, response_model=JobView, responses=problems(404, 409, 422))
def resume_job(
    caller: Submitter,
    job: JobDep,
    database: DatabaseDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
) -> JobView:
    """Go on with a paused, cancelled or failed job from its last checkpoint."""
    with database.write() as session:
        jobs.resume(session, job.id)
        view = service.view(session, jobs.get(session, job.id))
    tasks.add_task(doorbell.ring, job.id)
    return view


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(
        404,
        422,
        also={
            200: {
                "description": "`state`, `progress`, `metric`, `raster`, `receptive_fields` (id, epoch, step, layer, "
                "n_neurons, shape), `checkpoint` and `log`."
            }
        },
    ),
)
async def follow_job(
    caller: Reader,
    job: JobDep,
    database: DatabaseDep,
    config: ConfigDep,
    last_event_id: Annotated[
        int, Header(ge=0, le=2**31 - 1, description="Go on behind this event, as browsers do by themselves.")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """The job's history and then its news, until it has ended. The `id` of an event is its number."""
    async for event in stream.follow(database, job.id, last_event_id, config.sse_poll_s):
        yield event


@router.get("/{job_id}/logs", response_model=Page[LogLine], responses=problems(404, 422))
def list_log_lines(
    caller: Reader,
    job: JobDep,
    database: DatabaseDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("l")] = None,
) -> Page[LogLine]:
    """The trainer's log lines, newest first."""
    before = decode_number(cursor)
    limit = capped(limit)
    with database.read() as session:
        found = events.before(session, job.id, before, limit + 1, "log")
    page = [log_line_of(event) for event in found[:limit]]
    return Page(items=page, next_cursor=encode("l", page[-1].seq) if len(found) > limit else None)


@router.get("/{job_id}/result", response_model=Result, responses=problems(404, 409, 422))
def show_result(caller: Reader, request: Request, job: JobDep, database: DatabaseDep) -> Response:
    """What a job came to, once it has ended."""
    with database.read() as session:
        result = service.result_of(session, job, metrics.list_series(session, job.id))
    return json_answer(request, result, final=True)
