"""The application: routes, middleware and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI

from service import openapi, problems
from service.checkpoints.router import router as checkpoints
from service.datasets.router import UPLOAD
from service.datasets.router import router as datasets
from service.dispatch import Doorbell
from service.illustrations.router import router as illustrations
from service.jobs.router import router as jobs
from service.metrics.router import router as metrics
from service.middleware import BodyLimit, Measured, Methods, RequestId, RouteTable
from service.ops.figures import Figures
from service.ops.router import router as ops
from service.presets.router import router as presets
from service.rasters.router import router as rasters
from service.receptive_fields.router import router as receptive_fields
from service.settings import Settings, get_settings
from service.store.engine import Database
from service.sweeps.router import router as sweeps

DESCRIPTION = """\
Trains spiking neural networks. `POST` a job spec (or the name of a preset) to `/v1/jobs`, follow its events, and fetch
learning curves, spike rasters and weights while it runs and after. Times are RFC 3339 in UTC, fields ending `_ms` are
milliseconds and fields ending `_hz` hertz. Errors are problem details (RFC 9457) with a stable `code`.
"""

WIDE_PARAMETERS = frozenset({"name"})
"""Path parameters that may contain slashes: names of presets and of series."""


def create_app(settings: Settings | None = None, *, database: Database | None = None) -> FastAPI:
    """A new application. `database` is for callers that have one already; it stays theirs to close."""
    settings = settings or get_settings()
    own = database is None
    store = database or Database(settings.resolved_database_url, busy_timeout_ms=settings.busy_timeout_ms)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if own:
            store.close()

    app = FastAPI(title="Spikesmith", version=_version(), description=DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.database = store
    app.state.doorbell = Doorbell(store, settings.broker_url)
    app.state.figures = Figures(store, settings)
    results = (metrics, rasters, receptive_fields, checkpoints)
    for router in (jobs, *results, sweeps, presets, datasets, illustrations, ops):
        app.include_router(router)
    problems.install(app)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.build(app, auth_required=settings.auth_required)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    table = RouteTable(document()["paths"], WIDE_PARAMETERS)
    # The one added last is the outermost.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, exempt=frozenset({UPLOAD}))
    app.add_middleware(Methods, table=table)
    app.add_middleware(Measured, report=app.state.figures.report)
    app.add_middleware(RequestId)
    return app


def _version() -> str:
    try:
        return version("spikesmith")
    except PackageNotFoundError:
        return "0"
