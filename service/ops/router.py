"""The routes /healthz, /readyz, /metrics and /v1/workers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from service.auth import Reader
from service.dependencies import ConfigDep, DatabaseDep, StrictRoute, known_query_only
from service.ops.checks import run_checks
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.problems import problems
from service.store import workers
from service.store.types import utcnow

router = APIRouter(tags=["operation"], route_class=StrictRoute, dependencies=[Depends(known_query_only)])


class Health(BaseModel):
    status: Literal["alive"]


class Check(BaseModel):
    ok: bool
    detail: str | None = Field(description="What is wrong.")


class Readiness(BaseModel):
    """Whether jobs can be taken and trained."""

    status: Literal["ready", "not_ready"]
    missing: list[str] = Field(description="The checks that failed.")
    checks: dict[str, Check]


class WorkerView(BaseModel):
    """A worker that was heard of lately."""

    id: str
    hostname: str
    pid: int
    device: str
    threads: int
    slots: int = Field(description="Jobs it trains at a time.")
    started_at: datetime
    heartbeat_at: datetime
    jobs: list[str] = Field(description="The jobs it is training.")


@router.get("/healthz", responses=problems(422))
def show_health() -> Health:
    """The process answers. Says nothing about what it depends on."""
    return Health(status="alive")


@router.get(
    "/readyz",
    response_model=Readiness,
    responses=problems(422, also={503: {"model": Readiness, "description": "Something is missing."}}),
)
def show_readiness(database: DatabaseDep, config: ConfigDep) -> Response:
    """Database at the right revision, broker, and a living worker: 200 if all are there, 503 if not."""
    found = run_checks(database, config)
    missing = [name for name, wrong in found.items() if wrong is not None]
    readiness = Readiness(
        status="not_ready" if missing else "ready",
        missing=missing,
        checks={name: Check(ok=wrong is None, detail=wrong) for name, wrong in found.items()},
    )
    return JSONResponse(readiness.model_dump(mode="json"), 503 if missing else 200, {"Cache-Control": "no-store"})


@router.get(
    "/metrics",
    response_class=Response,
    responses=problems(422, also={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}),
)
def show_figures(caller: Reader, request: Request) -> Response:
    """Figures for Prometheus: jobs by state, age of the queue, workers, requests and their durations."""
    return Response(request.app.state.figures.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/v1/workers", response_model=Page[WorkerView], responses=problems(422))
def list_workers(
    caller: Reader,
    database: DatabaseDep,
    config: ConfigDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("w")] = None,
) -> Page[WorkerView]:
    """Workers heard of lately and what they train, newest first."""
    before = decode_text(cursor)
    limit = capped(limit)
    with database.read() as session:
        alive = workers.list_alive(session, utcnow(), config.worker_timeout_s)
        held = workers.jobs_of_workers(session)
    alive = [worker for worker in alive if before is None or worker.id < before]
    page = [
        WorkerView(
            id=worker.id,
            hostname=worker.hostname,
            pid=worker.pid,
            device=worker.device,
            threads=worker.threads,
            slots=worker.slots,
            started_at=worker.started_at,
            heartbeat_at=worker.heartbeat_at,
            jobs=held.get(worker.id, []),
        )
        for worker in alive[:limit]
    ]
    return Page(items=page, next_cursor=encode("w", page[-1].id) if len(alive) > limit else None)
