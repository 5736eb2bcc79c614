"""Illustrations as they are listed, and their parameters as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from service.problems import FieldProblem, Problem
from snncore.illustrations import ILLUSTRATIONS, Illustration
from snncore.illustrations.base import Parameters
from snncore.spec import problems_of

_COMPONENTS = "#/components/schemas/{model}"


class IllustrationView(BaseModel):
    """A figure that can be had for any parameters in their ranges."""

    name: str
    title: str
    shows: str
    source: str
    parameters: dict[str, Any] = Field(
        description="JSON Schema of the body, with a range and a default for each field."
    )
    defaults: dict[str, Any] = Field(description="What `{}` stands for.")
    links: dict[str, str] = Field(description="`draw`: where to POST the parameters.")


def view_of(illustration: Illustration[Any, Any]) -> IllustrationView:
    return IllustrationView(
        name=illustration.name,
        title=illustration.title,
        shows=illustration.shows,
        source=illustration.source,
        parameters=illustration.parameters.model_json_schema(),
        defaults=defaults_of(illustration),
        links={"draw": f"/v1/illustrations/{illustration.name}"},
    )


def defaults_of(illustration: Illustration[Any, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = illustration.parameters().model_dump(mode="json")
    return defaults


def read_parameters(illustration: Illustration[Any, Any], body: Mapping[str, Any]) -> Parameters:
    """The parameters of a body; 422 with every field that has to change."""
    try:
        parameters: Parameters = illustration.parameters.model_validate(body)
        return parameters
    except ValidationError as error:
        found = problems_of(error.errors(include_url=False, include_input=False), body)
        problems = [FieldProblem(loc=list(one.loc), msg=one.msg, type=one.type) for one in found]
        detail = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in problems[:5])
        raise Problem(422, "invalid_request", detail, errors=problems) from None


def components() -> dict[str, Any]:
    """Components of the OpenAPI document for the bodies, and all below them."""
    found: dict[str, Any] = {}
    for illustration in ILLUSTRATIONS.values():
        schema = illustration.parameters.model_json_schema(ref_template=_COMPONENTS)
        found |= schema.pop("$defs", {})
        examples = [defaults_of(illustration), *illustration.examples]
        found[illustration.parameters.__name__] = {**schema, "examples": examples}
    return found
