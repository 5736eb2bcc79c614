"""The routes under /v1/jobs/{id}/checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from service.answers import Tag, bytes_answer, json_answer, not_modified
from service.auth import Reader
from service.dependencies import DatabaseDep, JobDep, StrictRoute, known_query_only
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.problems import Problem, printable, problems
from service.store import checkpoints
from service.store.transitions import TERMINAL

router = APIRouter(
    prefix="/v1/jobs/{job_id}/checkpoints",
    tags=["checkpoints"],
    route_class=StrictRoute,
    dependencies=[Depends(known_query_only)],
)

SAFETENSORS = "application/octet-stream"


class CheckpointView(BaseModel):
    """Stored weights."""

    id: str
    kind: str = Field(description="`best`, `last` or `periodic`.")
    epoch: int
    step: int
    size: int = Field(description="Bytes.")
    sha256: str
    created_at: datetime


@router.get("", response_model=Page[CheckpointView], responses=problems(404, 422))
def list_checkpoints(
    caller: Reader,
    request: Request,
    job: JobDep,
    database: DatabaseDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("c")] = None,
) -> Response:
    """The weights that are stored, newest first."""
    before = decode_text(cursor)
    limit = capped(limit)
    with database.read() as session:
        found = checkpoints.list_checkpoints(session, job.id, before=before, limit=limit + 1)
    page = [CheckpointView.model_validate(row, from_attributes=True) for row in found[:limit]]
    more = encode("c", page[-1].id) if len(found) > limit else None
    return json_answer(request, Page[CheckpointView](items=page, next_cursor=more), final=job.state in TERMINAL)


@router.get(
    "/{which}",
    response_class=Response,
    responses=problems(
        404,
        416,
        422,
        also={
            200: {
                "description": "A safetensors file, with the resolved spec in its metadata.",
                "content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}},
            },
        },
    ),
)
def download_checkpoint(
    caller: Reader,
    request: Request,
    job: JobDep,
    which: Annotated[str, Path(description="`best`, `last`, or the number of an epoch.", examples=["best"])],
    database: DatabaseDep,
) -> Response:
    """Weights as safetensors."""
    with database.read() as session:
        if which in {"best", "last", "periodic"}:
            found = checkpoints.by_kind(session, job.id, which)
        elif which.isascii() and which.isdigit() and len(which) < 10:
            found = checkpoints.by_epoch(session, job.id, int(which))
        else:
            found = None
        if found is None:
            detail = f"The job has no checkpoint {printable(which)!r}; its list says which there are."
            raise Problem(404, "checkpoint_not_found", detail)
        # The tag names the bytes themselves, so it holds whatever becomes of the job.
        tag = Tag(f'"{found.sha256}"')
        if unchanged := not_modified(request, tag):
            return unchanged
        body = checkpoints.load(session, found.id)
    name = f"{job.id}-{found.kind}-epoch{found.epoch}.safetensors"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return bytes_answer(request, body, SAFETENSORS, tag, disposition)
