"""The routes under /v1/datasets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from service.auth import Reader, Submitter
from service.datasets import service
from service.datasets.reception import MEDIA_TYPES, UploadDep
from service.datasets.schemas import DatasetView
from service.dependencies import ConfigDep, DatabaseDep, StrictRoute, known_query_only
from service.paging import Limit, Page, capped, cursor_of, decode_text
from service.problems import problems
from snncore.spec import DATASET_NAME

router = APIRouter(
    prefix="/v1/datasets", tags=["datasets"], route_class=StrictRoute, dependencies=[Depends(known_query_only)]
)

UPLOAD = ("PUT", "/v1/datasets/{dataset}")
"""The call whose body has a limit of its own."""

Name = Annotated[
    str, Path(pattern=DATASET_NAME, description="Letters, digits, `.`, `_` and `-`.", examples=["gestures"])
]
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An NPZ file (`numpy.savez_compressed`): `x`, the samples, `[n, features]`, `[n, height, "
        "width]` or `[n, height, width, channels]`, of floats, or of uint8, which count in steps of 1/255; `y` `[n]`, "
        "their classes 0 to K - 1, which may be left out; `x_test` and `y_test` where there is a test set; `classes` "
        "`[K]`, their names. Or events: `times_ms`, `addresses`, `starts`, `y`, `n_addresses`. Or a zip file of images "
        "in class folders. The format is told by the content.",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES[:3]},
    }
}
LOCATION = {"Location": {"description": "Where the dataset is.", "schema": {"type": "string"}}}


@router.get("", response_model=Page[DatasetView], responses=problems(422))
def list_datasets(
    caller: Reader,
    database: DatabaseDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, cursor_of("d")] = None,
) -> Page[DatasetView]:
    """What can be trained on: what is built in, then what was uploaded, newest first."""
    with database.read() as session:
        return service.page(session, decode_text(cursor), capped(limit))


@router.get("/{dataset}", response_model=DatasetView, responses=problems(404, 422))
def show_dataset(caller: Reader, dataset: Name, database: DatabaseDep) -> DatasetView:
    """One dataset."""
    with database.read() as session:
        return service.show(session, dataset)


@router.put(
    "/{dataset}",
    response_model=DatasetView,
    responses=problems(
        400,
        409,
        413,
        415,
        422,
        also={
            200: {"description": "It was there already, with the same bytes, or has taken the place of other bytes."},
            201: {"description": "It was stored.", "model": DatasetView, "headers": LOCATION},
        },
    ),
    openapi_extra=FILE,
)
def put_dataset(
    caller: Submitter,
    dataset: Name,
    upload: UploadDep,
    database: DatabaseDep,
    config: ConfigDep,
    response: Response,
) -> DatasetView:
    """Upload a dataset, to be trained on as `{"kind": "uploaded", "name": ...}`.

    Other bytes under a name replace the old ones, unless jobs that have not ended need those.
    """
    view, outcome = service.put(database, config, dataset, upload)
    if outcome == "created":
        response.status_code = 201
        response.headers["Location"] = f"/v1/datasets/{dataset}"
    return view


@router.delete("/{dataset}", status_code=204, responses=problems(404, 409, 422))
def delete_dataset(caller: Submitter, dataset: Name, database: DatabaseDep) -> Response:
    """Remove an uploaded dataset that no job needs any more. Jobs that have ended keep their results."""
    service.remove(database, dataset)
    return Response(status_code=204)
