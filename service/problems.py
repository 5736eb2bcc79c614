"""Errors as problem details (RFC 9457): one shape for whatever goes wrong, with a stable `code` for programs."""

from __future__ import annotations

import http
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from service.store.errors import (
    DatasetGone,
    DatasetInUse,
    DatasetNotFound,
    IllegalTransition,
    JobNeeded,
    JobNotFound,
    NeededJobEnded,
    StoreBusy,
    StoreUnavailable,
    SweepNotFinished,
    SweepNotFound,
)

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one place of a request."""

    loc: list[str | int] = Field(description="The place, from the outside in; `query`, `header` or `path` come first.")
    msg: str
    type: str


class ProblemDetails(BaseModel):
    """An error."""

    type: str = Field(description="Identifies the kind of problem.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable and short; for programs.")
    request_id: str = Field(description="As in the X-Request-ID header; names the request in the service's log.")
    errors: list[FieldProblem] | None = Field(default=None, description="The places of a request that have to change.")


class Problem(HTTPException):
    """Raised anywhere below a route. An `HTTPException`, so that frameworks let it through to the handler."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Iterable[FieldProblem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.errors = None if errors is None else list(errors)


def invalid(loc: Sequence[str | int], msg: str, kind: str = "value_error", code: str = "invalid_request") -> Problem:
    """One place of the request is wrong."""
    where = ".".join(map(str, loc)) or "body"
    return Problem(422, code, f"{where}: {msg}", errors=[FieldProblem(loc=list(loc), msg=msg, type=kind)])


def job_not_found(job_id: str) -> Problem:
    return Problem(404, "job_not_found", f"There is no job {printable(job_id)!r}.")


def sweep_not_found(sweep_id: str) -> Problem:
    return Problem(404, "sweep_not_found", f"There is no sweep {printable(sweep_id)!r}.")


def dataset_not_found(name: str) -> Problem:
    return Problem(404, "dataset_not_found", f"There is no dataset {printable(name)!r}; GET /v1/datasets lists them.")


def printable(text: str, most: int = 100) -> str:
    """Text of a request as it may stand in an answer."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[:most] + "…"


def respond(request: Request, problem: Problem) -> Response:
    request_id = request_id_of(request)
    details = ProblemDetails(
        type=f"urn:spikesmith:problem:{problem.code}",
        title=http.HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
        errors=problem.errors,
    )
    headers = {"X-Request-ID": request_id, **(problem.headers or {})}
    content = details.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, problem.status_code, headers, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Answer every error of the application with problem details."""

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return respond(request, error if isinstance(error, Problem) else _of_framework(request, error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [FieldProblem(loc=_location(one), msg=one["msg"], type=one["type"]) for one in error.errors()]
        detail = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in errors[:5])
        return respond(request, Problem(422, "invalid_request", detail, errors=errors))

    @app.exception_handler(JobNotFound)
    async def on_missing(request: Request, error: JobNotFound) -> Response:
        return respond(request, job_not_found(error.job_id))

    @app.exception_handler(SweepNotFound)
    async def on_missing_sweep(request: Request, error: SweepNotFound) -> Response:
        return respond(request, sweep_not_found(error.sweep_id))

    @app.exception_handler(SweepNotFinished)
    async def on_unfinished_sweep(request: Request, error: SweepNotFinished) -> Response:
        return respond(request, Problem(409, "sweep_not_finished", str(error)))

    @app.exception_handler(DatasetNotFound)
    async def on_missing_dataset(request: Request, error: DatasetNotFound) -> Response:
        return respond(request, dataset_not_found(error.name))

    @app.exception_handler(DatasetInUse)
    async def on_dataset_in_use(request: Request, error: DatasetInUse) -> Response:
        return respond(request, Problem(409, "dataset_in_use", str(error)))

    @app.exception_handler(DatasetGone)
    async def on_dataset_gone(request: Request, error: DatasetGone) -> Response:
        return respond(request, Problem(409, "dataset_gone", str(error)))

    @app.exception_handler(IllegalTransition)
    async def on_illegal(request: Request, error: IllegalTransition) -> Response:
        return respond(request, Problem(409, "illegal_transition", str(error)))

    @app.exception_handler(JobNeeded)
    async def on_needed(request: Request, error: JobNeeded) -> Response:
        return respond(request, Problem(409, "job_needed", str(error)))

    @app.exception_handler(NeededJobEnded)
    async def on_needing(request: Request, error: NeededJobEnded) -> Response:
        return respond(request, Problem(409, "needed_job_ended", str(error)))

    @app.exception_handler(StoreUnavailable)
    async def on_unavailable(request: Request, error: StoreUnavailable) -> Response:
        logger.warning("request %s: %s", request_id_of(request), error)
        code = "store_busy" if isinstance(error, StoreBusy) else "store_unreachable"
        detail = "The database is busy." if isinstance(error, StoreBusy) else "The database cannot be reached."
        return respond(request, Problem(503, code, f"{detail} Try again in a moment.", headers={"Retry-After": "1"}))

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        logger.error("request %s failed", request_id_of(request), exc_info=error)
        detail = "Something went wrong in the service; its log has the details under the request_id."
        return respond(request, Problem(500, "internal_error", detail))


def _location(error: Mapping[str, Any]) -> list[str | int]:
    return [step if isinstance(step, int) else printable(str(step)) for step in error["loc"]]


def _of_framework(request: Request, error: HTTPException) -> Problem:
    """Errors that the framework raises itself, in our words."""
    path = printable(request.url.path)
    if error.status_code == 404:
        return Problem(404, "route_not_found", f"There is nothing at {path}.")
    if error.status_code == 405:
        headers = dict(error.headers or {})
        allowed = headers.get("Allow", headers.get("allow", ""))
        detail = f"{request.method} is not possible at {path}; allowed: {allowed}."
        return Problem(405, "method_not_allowed", detail, headers=headers)
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return Problem(error.status_code, code, str(error.detail), headers=error.headers)


_DESCRIPTIONS = {
    400: "The connection broke before the body was complete.",
    401: "No API key, or one that is not known.",
    403: "The API key lacks the scope.",
    404: "There is no such thing.",
    406: "None of the formats in Accept can be served.",
    409: "The state of a job, or another request, stands against it.",
    413: "The request is too large.",
    415: "The body has another type than this call reads.",
    416: "The range lies behind the end.",
    422: "Something in the request has to change; `errors` names the places.",
    429: "A limit of this API key is reached.",
    503: "The store cannot answer now; try again after `Retry-After` seconds.",
}


def problems(*statuses: int, also: Mapping[int, dict[str, Any]] | None = None) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with these errors, and `also` with these."""
    own: Mapping[int, dict[str, Any]] = also or {}
    return {status: own[status] if status in own else problem_response(status) for status in (*statuses, *own)}


def problem_response(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    response: dict[str, Any] = {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    if status in {429, 503}:
        retry = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
        response["headers"] = {"Retry-After": retry}
    return response
