"""The routes under /v1/jobs/{id}/receptive-fields."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from service.answers import (
    ARROW,
    JSON,
    NPZ,
    PNG,
    Tag,
    bytes_answer,
    demand_room,
    json_answer,
    negotiate,
    not_modified,
)
from service.auth import Reader
from service.dependencies import ConfigDep, DatabaseDep, JobDep, StrictRoute, Text, known_query_only
from service.neurons import NeuronSelection, count, selected
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.problems import Problem, printable, problems
from service.receptive_fields import formats, pictures
from service.receptive_fields.formats import Selected
from service.receptive_fields.pictures import Sheet
from service.receptive_fields.schemas import FieldWeights, ReceptiveFieldsView, view_of
from service.store import receptive_fields, recorded
from service.store.ids import is_id
from service.store.tables import ReceptiveField
from service.store.transitions import TERMINAL

router = APIRouter(
    prefix="/v1/jobs/{job_id}/receptive-fields",
    tags=["receptive fields"],
    route_class=StrictRoute,
    dependencies=[Depends(known_query_only)],
)

FORMATS = {"json": JSON, "arrow": ARROW, "npz": NPZ, "png": PNG}
BYTES_A_LISTED_WEIGHT = 48
BYTES_A_WEIGHT = 4


@router.get("", response_model=Page[ReceptiveFieldsView], responses=problems(404, 422))
def list_receptive_fields(
    caller: Reader,
    request: Request,
    job: JobDep,
    database: DatabaseDep,
    epoch: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    layer: Annotated[Text | None, Query()] = None,
    id: Annotated[Text | None, Query()] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("f")] = None,
) -> Response:
    """The receptive fields that were recorded, newest first: `recording.receptive_fields` of the spec asks for them."""
    before = decode_text(cursor)
    limit = capped(limit)
    asked = {name: value for name, value in {"epoch": epoch, "layer": layer, "id": id}.items() if value is not None}
    with database.read() as session:
        found = recorded.newest(session, ReceptiveField, job.id, filters=asked, before=before, limit=limit + 1)
    page = [view_of(row) for row in found[:limit]]
    more = encode("f", page[-1].id) if len(found) > limit else None
    return json_answer(request, Page[ReceptiveFieldsView](items=page, next_cursor=more), final=job.state in TERMINAL)


@router.get(
    "/{fields_id}",
    response_model=FieldWeights,
    responses=problems(
        404,
        406,
        416,
        422,
        also={200: {"description": "The weights of the neurons.", "content": {ARROW: {}, NPZ: {}, PNG: {}}}},
    ),
)
def show_receptive_fields(
    caller: Reader,
    request: Request,
    job: JobDep,
    fields_id: Annotated[str, Path(description="Of the receptive fields, from the list.")],
    database: DatabaseDep,
    config: ConfigDep,
    neurons: NeuronSelection = None,
    labels: Annotated[
        bool, Query(description="In a picture: write its class on the tile of each neuron that has one.")
    ] = False,
    format: Annotated[Literal["json", "arrow", "npz", "png"] | None, Query(description="Instead of `Accept`.")] = None,
) -> Response:
    """The incoming weights of neurons, or pictures of them: a tile for each, row by row, with one scale of colours.

    From the smallest to the largest weight of the layer a picture goes from white to blue; where weights are negative,
    0 is white and what is below is red. Three channels are red, green and blue; others stand beside each other.
    """
    media_type = negotiate(request, list(FORMATS.values()), FORMATS[format] if format else None)
    with database.read() as session:
        known = is_id(fields_id, "rcf")
        fields = recorded.find(session, ReceptiveField, job.id, fields_id) if known else None
        if fields is None:
            detail = f"The job has no receptive fields {printable(fields_id)!r}."
            raise Problem(404, "receptive_fields_not_found", detail)
        ranges = selected(neurons, fields.n_neurons)
        tag = Tag.of(fields.id, fields.created_at, ranges, labels, media_type, final=job.state in TERMINAL)
        if unchanged := not_modified(request, tag):
            return unchanged
        n = count(ranges)
        sheet = Sheet.of(fields, n, named=labels) if media_type == PNG else None
        a_weight = BYTES_A_LISTED_WEIGHT if media_type == JSON else BYTES_A_WEIGHT
        demand_room("These weights", a_weight * n * fields.n_features, config.max_dense_bytes)
        if sheet is not None:
            height, width = sheet.size
            demand_room("This picture", 3 * height * width, config.max_dense_bytes)
        chosen = Selected.of(fields, ranges, receptive_fields.read_neurons(session, fields, ranges))
    if sheet is not None:
        body = pictures.draw(fields, chosen, sheet, named=labels)
    elif media_type == JSON:
        body = formats.as_json(chosen, fields)
    elif media_type == ARROW:
        body = formats.as_arrow(chosen, fields)
    else:
        body = formats.as_npz(chosen, fields)
    return bytes_answer(request, body, media_type, tag)
