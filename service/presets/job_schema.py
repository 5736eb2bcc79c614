"""The JSON Schema of what a client may submit."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from service.jobs.schemas import Naming, PresetJob
from service.sweeps.schemas import SweepSubmission
from snncore.presets import list_presets
from snncore.spec import JobSpec

_COMPONENTS = "#/components/schemas/{model}"


@cache
def job_schema() -> dict[str, Any]:
    """Of a job spec, complete in itself."""
    schema = JobSpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def submission_components() -> dict[str, Any]:
    """Components of the OpenAPI document for the body of a submission, `JobSubmission` and all below it."""
    spec = JobSpec.model_json_schema(ref_template=_COMPONENTS)
    components: dict[str, Any] = spec.pop("$defs")
    naming = Naming.model_json_schema(ref_template=_COMPONENTS)
    preset = PresetJob.model_json_schema(ref_template=_COMPONENTS)
    for schema in (naming, preset):
        components.update(schema.pop("$defs", {}))
    body = copy.deepcopy(spec)
    body["properties"] |= naming["properties"]
    body["title"] = "SpecJob"
    body["description"] = "A job made from a spec."
    components["JobSpec"] = spec
    components["SpecJob"] = body
    components["PresetJob"] = preset
    references = [{"$ref": "#/components/schemas/SpecJob"}, {"$ref": "#/components/schemas/PresetJob"}]
    sweep = SweepSubmission.model_json_schema(ref_template=_COMPONENTS)
    components.update(sweep.pop("$defs", {}))
    components["SweepSubmission"] = sweep
    components["JobSubmission"] = {"title": "JobSubmission", "oneOf": references, "examples": examples()}
    return components


def examples() -> list[dict[str, Any]]:
    """Bodies that are accepted as they stand."""
    quick = next(preset for preset in list_presets() if preset.name == "digits/lsnn")
    return [
        {**quick.spec, "name": "digits", "labels": {"study": "first"}},
        {"preset": quick.name, "overrides": {"training": {"epochs": 5}, "seed": 1}, "name": "five epochs"},
    ]
