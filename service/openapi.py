"""The OpenAPI document: what the routes say, and what is true of all of them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.illustrations.schemas import components as illustration_components
from service.presets.job_schema import submission_components
from service.problems import ProblemDetails, problem_response
from snncore.illustrations import ILLUSTRATIONS

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that answer without a key."""
WITHOUT_STORE = (
    OPEN
    | {"/v1/presets", "/v1/presets/{name}", "/v1/schema/job", "/metrics", "/v1/illustrations"}
    | {f"/v1/illustrations/{name}" for name in ILLUSTRATIONS}
)

UNTAGGED = frozenset(
    {
        "/v1/jobs",
        "/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/logs",
        "/v1/sweeps",
        "/v1/workers",
        "/v1/datasets",
        "/v1/datasets/{dataset}",
    }
)
"""GET answers under /v1 that are never final; all others carry an entity tag once they are."""
IN_RANGES = ("/metrics/{name}", "/rasters/{raster_id}", "/receptive-fields/{fields_id}", "/checkpoints/{which}")


def build(app: FastAPI, *, auth_required: bool) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= submission_components()
    schemas |= illustration_components()
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["ProblemDetails"] = problem
    if auth_required:
        bearer = {"type": "http", "scheme": "bearer", "description": "An API key."}
        document["components"]["securitySchemes"] = {"bearer": bearer}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation, auth_required)
        if "get" in operations:
            _cached(path, operations["get"]["responses"])
    return document


def _cached(path: str, responses: dict[str, Any]) -> None:
    """304 for what the client has already, 206 for a part of something large."""
    if not path.startswith("/v1") or path in UNTAGGED:
        return
    responses["304"] = {"description": "You have it already.", "headers": dict(responses["200"]["headers"])}
    if path.endswith(IN_RANGES):
        binary: dict[str, Any] = {media_type: {} for media_type in responses["200"]["content"]}
        headers = {**responses["200"]["headers"], "Content-Range": {"schema": {"type": "string"}}}
        responses["206"] = {"description": "The part that was asked for.", "content": binary, "headers": headers}


def _complete(path: str, operation: dict[str, Any], auth_required: bool) -> None:
    """What the middleware and the dependencies of all routes may answer."""
    responses = operation["responses"]
    if auth_required and path not in OPEN:
        operation["security"] = [{"bearer": []}]
        responses["401"] = problem_response(401)
        responses["403"] = problem_response(403)
    if path not in WITHOUT_STORE or (auth_required and path not in OPEN):
        responses.setdefault("503", problem_response(503))
    responses.setdefault("413", problem_response(413))
    for status, response in responses.items():
        if status != "default":
            headers = response.setdefault("headers", {})
            headers["X-Request-ID"] = {"description": "Names the request.", "schema": {"type": "string"}}
    operation["responses"] = dict(sorted(responses.items()))
