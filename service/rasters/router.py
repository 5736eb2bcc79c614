"""The routes under /v1/jobs/{id}/rasters."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.orm import Session

from service.answers import (
    ARROW,
    JSON,
    NPZ,
    PNG,
    SVG,
    Tag,
    bytes_answer,
    demand_room,
    json_answer,
    negotiate,
    not_modified,
)
from service.auth import Reader
from service.dependencies import ConfigDep, DatabaseDep, JobDep, StrictRoute, Text, known_query_only
from service.neurons import NeuronSelection
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.problems import Problem, printable, problems
from service.rasters import formats, pictures
from service.rasters.schemas import (
    FromMs,
    RasterView,
    Rates,
    SpikeList,
    ToMs,
    Window,
    view_of,
)
from service.store import rasters
from service.store.ids import is_id
from service.store.tables import Job, Raster
from service.store.transitions import TERMINAL

router = APIRouter(
    prefix="/v1/jobs/{job_id}/rasters",
    tags=["rasters"],
    route_class=StrictRoute,
    dependencies=[Depends(known_query_only)],
)

FORMATS = {"json": JSON, "arrow": ARROW, "npz": NPZ, "png": PNG, "svg": SVG}
BYTES_A_LISTED_SPIKE = 16
RasterId = Annotated[str, Path(description="Of the raster, from the list.")]


@router.get("", response_model=Page[RasterView], responses=problems(404, 422))
def list_rasters(
    caller: Reader,
    request: Request,
    job: JobDep,
    database: DatabaseDep,
    epoch: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    split: Annotated[Text | None, Query()] = None,
    layer: Annotated[Text | None, Query()] = None,
    sample: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    id: Annotated[Text | None, Query()] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("r")] = None,
) -> Response:
    """The rasters that were recorded, newest first."""
    before = decode_text(cursor)
    limit = capped(limit)
    filters = {"epoch": epoch, "split": split, "layer": layer, "sample": sample, "id": id}
    asked = {name: value for name, value in filters.items() if value is not None}
    with database.read() as session:
        found = rasters.list_rasters(session, job.id, filters=asked, before=before, limit=limit + 1)
    page = [view_of(row) for row in found[:limit]]
    more = encode("r", page[-1].id) if len(found) > limit else None
    return json_answer(request, Page[RasterView](items=page, next_cursor=more), final=job.state in TERMINAL)


@router.get(
    "/{raster_id}",
    response_model=SpikeList,
    responses=problems(
        404,
        406,
        416,
        422,
        also={
            200: {
                "description": "The spikes of the window.",
                "content": {ARROW: {}, NPZ: {}, PNG: {}, SVG: {}},
            },
        },
    ),
)
def show_raster(
    caller: Reader,
    request: Request,
    job: JobDep,
    raster_id: RasterId,
    database: DatabaseDep,
    config: ConfigDep,
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    neurons: NeuronSelection = None,
    format: Annotated[
        Literal["json", "arrow", "npz", "png", "svg"] | None, Query(description="Instead of `Accept`.")
    ] = None,
) -> Response:
    """The spikes of a raster, or of a window of it. The time of step t is t * dt_ms."""
    media_type = negotiate(request, list(FORMATS.values()), FORMATS[format] if format else None)
    with database.read() as session:
        raster = _get(session, job, raster_id)
        window = Window.of(raster, from_ms, to_ms, neurons)
        tag = _tag(job, raster, window, media_type)
        if unchanged := not_modified(request, tag):
            return unchanged
        most = config.max_dense_bytes
        demand_room("These spikes", BYTES_A_LISTED_SPIKE * _at_most(raster, window), most)
        if media_type == NPZ:
            demand_room("This dense array", window.n_steps * window.n_neurons, most)
        spikes = rasters.read_window(session, raster, start=window.start, stop=window.stop, neurons=window.ranges)
    if media_type == JSON:
        body = formats.as_list(spikes, raster).model_dump_json().encode()
    elif media_type == ARROW:
        body = formats.as_arrow(spikes, raster)
    elif media_type == NPZ:
        body = formats.as_npz(spikes, raster, window)
    else:
        body = pictures.draw(spikes, raster, window, "png" if media_type == PNG else "svg")
    return bytes_answer(request, body, media_type, tag)


@router.get("/{raster_id}/rates", response_model=Rates, responses=problems(404, 422))
def show_rates(
    caller: Reader,
    request: Request,
    job: JobDep,
    raster_id: RasterId,
    database: DatabaseDep,
    config: ConfigDep,
    bin_ms: Annotated[
        float, Query(gt=0, allow_inf_nan=False, description="Width of the bins, rounded to whole time steps.")
    ] = 10.0,
    group: Annotated[
        Literal["neuron", "population"], Query(description="A row for each neuron, or their mean.")
    ] = "population",
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    neurons: NeuronSelection = None,
) -> Response:
    """Binned firing rates in a window of a raster."""
    with database.read() as session:
        raster = _get(session, job, raster_id)
        window = Window.of(raster, from_ms, to_ms, neurons)
        demand_room("These spikes", BYTES_A_LISTED_SPIKE * _at_most(raster, window), config.max_dense_bytes)
        spikes = rasters.read_window(session, raster, start=window.start, stop=window.stop, neurons=window.ranges)
    rates = formats.as_rates(spikes, raster, window, bin_ms, group, config.max_dense_bytes)
    return json_answer(request, rates, final=job.state in TERMINAL)


def _get(session: Session, job: Job, raster_id: str) -> Raster:
    raster = rasters.get_raster(session, job.id, raster_id) if is_id(raster_id, "ras") else None
    if raster is None:
        raise Problem(404, "raster_not_found", f"The job has no raster {printable(raster_id)!r}.")
    return raster


def _at_most(raster: Raster, window: Window) -> int:
    return min(raster.n_spikes, window.n_steps * window.n_neurons)


def _tag(job: Job, raster: Raster, window: Window, media_type: str) -> Tag:
    return Tag.of(raster.id, raster.created_at, window, media_type, final=job.state in TERMINAL)
