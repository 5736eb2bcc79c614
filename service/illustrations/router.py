"""The routes under /v1/illustrations: one for each, so that each has its own body and answer in the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from service.answers import JSON, PNG, SVG, Tag, bytes_answer, json_answer, negotiate
from service.auth import Reader
from service.dependencies import JsonObject, StrictRoute, known_query_only
from service.illustrations.pictures import draw
from service.illustrations.schemas import IllustrationView, read_parameters, view_of
from service.once import body_of
from service.paging import Limit, Page, capped, cursor_of, decode_number, encode
from service.problems import problems
from snncore.illustrations import ILLUSTRATIONS, Illustration

router = APIRouter(
    prefix="/v1/illustrations",
    tags=["illustrations"],
    route_class=StrictRoute,
    dependencies=[Depends(known_query_only)],
)

FORMATS = {"json": JSON, "png": PNG, "svg": SVG}
Format = Annotated[Literal["json", "png", "svg"] | None, Query(description="Instead of `Accept`.")]


@router.get("", response_model=Page[IllustrationView], responses=problems(422))
def list_illustrations(
    caller: Reader, request: Request, limit: Limit = 50, cursor: Annotated[str | None, cursor_of("i")] = None
) -> Response:
    """What can be drawn, with the ranges and defaults of the parameters."""
    start = decode_number(cursor) or 0
    stop = start + capped(limit)
    views = [view_of(one) for one in list(ILLUSTRATIONS.values())[start:stop]]
    more = encode("i", stop) if stop < len(ILLUSTRATIONS) else None
    return json_answer(request, Page[IllustrationView](items=views, next_cursor=more), final=True)


def _drawing_of(illustration: Illustration[Any, Any]) -> Callable[..., Response]:
    def draw_illustration(caller: Reader, request: Request, body: JsonObject, format: Format = None) -> Response:
        media_type = negotiate(request, list(FORMATS.values()), FORMATS[format] if format else None)
        parameters = read_parameters(illustration, body)
        result = illustration.compute(parameters)
        if media_type == JSON:
            answer = result.model_dump_json().encode()
        else:
            answer = draw(illustration.name, parameters, result, "png" if media_type == PNG else "svg")
        return bytes_answer(request, answer, media_type, Tag(None))

    return draw_illustration


for _one in ILLUSTRATIONS.values():
    router.add_api_route(
        f"/{_one.name}",
        _drawing_of(_one),
        methods=["POST"],
        name=f"draw_{_one.name}",
        summary=_one.title,
        description=f"{_one.shows} {_one.source}. The same parameters always give the same answer.",
        response_model=_one.result,
        responses=problems(406, 413, 415, 422, also={200: {"content": {PNG: {}, SVG: {}}}}),
        openapi_extra=body_of(_one.parameters.__name__),
    )
