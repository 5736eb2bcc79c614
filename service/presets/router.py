"""The routes /v1/presets and /v1/schema/job. What they answer changes with the version of Spikesmith only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from service.answers import Tag, json_answer, not_modified
from service.auth import Reader
from service.dependencies import StrictRoute, known_query_only
from service.paging import Limit, Page, capped, cursor_of, decode_text, encode
from service.presets.job_schema import job_schema
from service.problems import Problem, printable, problems
from snncore.presets import Preset, Published, UnknownPreset, get_preset, list_presets

router = APIRouter(prefix="/v1", tags=["presets"], route_class=StrictRoute, dependencies=[Depends(known_query_only)])


class PublishedNumber(BaseModel):
    metric: str
    split: str
    value: float
    source: str


class PresetView(BaseModel):
    """An experiment of the literature that can be run by its name."""

    name: str
    title: str
    reproduces: str
    source: str
    published: PublishedNumber | None = Field(description="What the source reports.")
    ceiling: PublishedNumber | None = Field(description="What could be reached at best.")
    expected_minutes: float = Field(description="Of one job on two cores.")
    needs: dict[str, str] = Field(
        description="Places of the spec that lack the id of a finished job, and the preset that this one is a job of."
    )
    grid: dict[str, list[Any]] = Field(
        description="Of a sweep: what `POST /v1/sweeps` takes for `grid` where the request has none."
    )
    seeds: list[int] = Field(description="Of a sweep: likewise its `seeds`.")
    spec: dict[str, Any] = Field(
        description="Resolved: every default is filled in. Of a sweep, the job that all its points start from."
    )


@router.get("/presets", response_model=Page[PresetView], responses=problems(422))
def index_presets(
    caller: Reader, request: Request, limit: Limit = 50, cursor: Annotated[str | None, cursor_of("p")] = None
) -> Response:
    """All presets, by name."""
    after = decode_text(cursor)
    limit = capped(limit)
    found = [preset for preset in list_presets() if after is None or preset.name > after]
    page = [_view(preset) for preset in found[:limit]]
    more = encode("p", page[-1].name) if len(found) > limit else None
    return json_answer(request, Page[PresetView](items=page, next_cursor=more), final=True)


@router.get("/presets/{name:path}", response_model=PresetView, responses=problems(404, 422))
def show_preset(caller: Reader, request: Request, name: Annotated[str, Path(examples=["digits/lsnn"])]) -> Response:
    """One preset."""
    try:
        preset = get_preset(name)
    except UnknownPreset:
        raise Problem(404, "preset_not_found", f"There is no preset {printable(name)!r}.") from None
    return json_answer(request, _view(preset), final=True)


@router.get("/schema/job", responses=problems(422, also={200: {"description": "JSON Schema, draft 2020-12."}}))
def show_job_schema(caller: Reader, request: Request) -> dict[str, Any]:
    """The JSON Schema of a job spec."""
    schema = job_schema()
    tag = Tag.of(schema)
    return not_modified(request, tag) or JSONResponse(schema, headers=tag.headers)  # type: ignore[return-value]


def _view(preset: Preset) -> PresetView:
    return PresetView(
        name=preset.name,
        title=preset.title,
        reproduces=preset.reproduces,
        source=preset.source,
        published=_number(preset.published),
        ceiling=_number(preset.ceiling),
        expected_minutes=preset.expected_minutes,
        needs=dict(preset.needs),
        grid=dict(preset.grid),
        seeds=preset.seeds,
        spec=preset.spec,
    )


def _number(published: Published | None) -> PublishedNumber | None:
    return None if published is None else PublishedNumber.model_validate(published, from_attributes=True)
