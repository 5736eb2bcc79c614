"""The routes under /v1/sweeps."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Request, Response

from service.answers import CSV, JSON, MARKDOWN, Tag, json_answer, negotiate, not_modified
from service.auth import Reader, Submitter
from service.dependencies import ConfigDep, DatabaseDep, DoorbellDep, JsonObject, StrictRoute, known_query_only
from service.once import IdempotencyKey, announce, body_of, created
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.problems import problems, sweep_not_found
from service.store import sweeps
from service.store.ids import is_id
from service.store.tables import Sweep
from service.sweeps import service
from service.sweeps.formats import as_csv, as_markdown
from service.sweeps.schemas import SweepDetail, SweepView, Table
from service.sweeps.submission import read_sweep
from service.sweeps.table import table_of

router = APIRouter(
    prefix="/v1/sweeps", tags=["sweeps"], route_class=StrictRoute, dependencies=[Depends(known_query_only)]
)

FORMATS = {"json": JSON, "csv": CSV, "markdown": MARKDOWN}
TEXT: dict[str, Any] = {"schema": {"type": "string"}}

SUBMISSION = body_of("SweepSubmission")


def sweep_of_path(sweep_id: Annotated[str, Path(description="Of the sweep.")], database: DatabaseDep) -> Sweep:
    """The sweep that the path names. 404 if there is none."""
    if not is_id(sweep_id, "swp"):
        raise sweep_not_found(sweep_id)
    with database.read() as session:
        return sweeps.get(session, sweep_id)


SweepDep = Annotated[Sweep, Depends(sweep_of_path)]


@router.post(
    "",
    status_code=201,
    response_model=SweepDetail,
    responses=problems(409, 413, 415, 422, 429, also={201: created("sweep")}),
    openapi_extra=SUBMISSION,
)
def submit_sweep(
    caller: Submitter,
    body: JsonObject,
    database: DatabaseDep,
    config: ConfigDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> SweepDetail:
    """Queue a job for each combination of grid values and each seed: all of them, or none if one cannot work."""
    plan = read_sweep(body, config, database)
    sweep, new = service.submit(database, config, caller, plan, body, idempotency_key)
    announce(response, f"/v1/sweeps/{sweep.id}", new=new)
    if new:
        tasks.add_task(doorbell.ring_sweep, sweep.id)
    return sweep


@router.get("", response_model=Page[SweepView], responses=problems(422))
def list_sweeps(
    caller: Reader,
    database: DatabaseDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("s")] = None,
) -> Page[SweepView]:
    """Sweeps, newest first."""
    limit = capped(limit)
    with database.read() as session:
        found = sweeps.list_sweeps(session, before=decode_text(cursor), limit=limit + 1)
        page = service.views(session, found[:limit])
    return Page(items=page, next_cursor=encode("s", page[-1].id) if len(found) > limit else None)


@router.get("/{sweep_id}", response_model=SweepDetail, responses=problems(404, 422))
def show_sweep(caller: Reader, request: Request, sweep: SweepDep, database: DatabaseDep) -> Response:
    """One sweep, with its jobs."""
    with database.read() as session:
        detail = service.detail(session, sweep)
    return json_answer(request, detail, final=detail.state == "finished")


@router.get(
    "/{sweep_id}/table",
    response_model=Table,
    responses=problems(404, 406, 422, also={200: {"content": {CSV: TEXT, MARKDOWN: TEXT}}}),
)
def show_table(
    caller: Reader,
    request: Request,
    sweep: SweepDep,
    database: DatabaseDep,
    format: Annotated[Literal["json", "csv", "markdown"] | None, Query(description="Instead of `Accept`.")] = None,
) -> Response:
    """Mean, standard deviation and 95 % confidence of each final metric, a row for each grid point.

    Over the jobs that have succeeded by now.
    """
    media_type = negotiate(request, list(FORMATS.values()), FORMATS[format] if format else None)
    with database.read() as session:
        table = table_of(session, sweep)
    if media_type == JSON:
        return json_answer(request, table, final=table.state == "finished")
    body = as_csv(table) if media_type == CSV else as_markdown(table)
    tag = Tag.of(media_type, hashlib.sha256(body).hexdigest(), final=table.state == "finished")
    return not_modified(request, tag) or Response(body, media_type=media_type, headers=tag.headers)


@router.post("/{sweep_id}/cancel", status_code=202, response_model=SweepView, responses=problems(404, 422))
def cancel_sweep(caller: Submitter, sweep: SweepDep, database: DatabaseDep) -> SweepView:
    """Stop all jobs that have not ended: running ones at their next batch, with a checkpoint; any other at once."""
    sweeps.cancel(database, sweep.id)
    with database.read() as session:
        return service.view(session, sweep)


@router.post("/{sweep_id}/resume", status_code=202, response_model=SweepView, responses=problems(404, 409, 422))
def resume_sweep(
    caller: Submitter, sweep: SweepDep, database: DatabaseDep, doorbell: DoorbellDep, tasks: BackgroundTasks
) -> SweepView:
    """Go on with all paused, cancelled and failed jobs from their last checkpoints."""
    sweeps.resume(database, sweep.id)
    tasks.add_task(doorbell.ring_sweep, sweep.id)
    with database.read() as session:
        return service.view(session, sweep)


@router.delete("/{sweep_id}", status_code=204, responses=problems(404, 409, 422))
def delete_sweep(caller: Submitter, sweep: SweepDep, database: DatabaseDep) -> Response:
    """Remove a sweep whose jobs have all ended, with the jobs and all that they stored."""
    with database.write() as session:
        sweeps.remove(session, sweep.id)
    return Response(status_code=204)
