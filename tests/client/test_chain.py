"""Chains of jobs: what a preset needs is found, or queued first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from service.client import ChainedJob, Client, ServiceError
from tests.client.scripted import Answer, Request, scripted

PLACE = "architecture.embedded.job"
NEEDS = {"base": {}, "middle": {PLACE: "base"}, "top": {PLACE: "middle"}}


class Presets:
    """As much of the service as a chain touches: three presets, each of which needs the one before."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.refused: str | None = None

    def add(self, preset: str, state: str = "queued", *, unchanged: bool = True, **values: Any) -> str:
        job_id = f"job_{len(self.jobs) + 1}"
        job = {"id": job_id, "preset": preset, "state": state, "preset_unchanged": unchanged, **values}
        self.jobs.append({**job, "created_at": "2026-01-01T00:00:00Z"})
        return job_id

    def __call__(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        match request.method, unquote(url.path).split("/")[2:]:
            case "POST", ["jobs"]:
                return self.submit(json.loads(request.body))
            case "POST", ["jobs", job_id, "cancel"]:
                (job,) = (job for job in self.jobs if job["id"] == job_id)
                job["state"] = "cancelled"
                return Answer(202, json.dumps(job))
            case "GET", ["presets", name]:
                return Answer(200, json.dumps({"name": name, "title": name, "needs": NEEDS[name]}))
            case "GET", ["jobs"]:
                query = {name: value for name, (value,) in parse_qs(url.query).items()}
                items = [j for j in self.jobs[::-1] if query.items() <= {**j, "limit": query.get("limit")}.items()]
                return Answer(200, json.dumps({"items": items, "next_cursor": None}))
        raise AssertionError(request)

    def submit(self, body: dict[str, Any]) -> Answer:
        preset, overrides = body["preset"], body.get("overrides") or {}
        given = ((overrides.get("architecture") or {}).get("embedded") or {}).get("job")
        errors = []
        if NEEDS[preset] and given is None:
            errors.append({"loc": ["overrides", *PLACE.split(".")], "msg": "needs", "type": "needed_job_missing"})
        if "seed" in overrides or (given is not None and preset == self.refused):
            errors.append({"loc": ["overrides", "seed"], "msg": "no", "type": "inconsistent"})
        if errors:
            return Answer(422, json.dumps({"code": "invalid_spec", "detail": "no", "errors": errors}))
        job_id = self.add(preset, labels=body.get("labels", {}), name=body.get("name"), spec=overrides)
        return Answer(201, json.dumps(next(job for job in self.jobs if job["id"] == job_id)))


@contextmanager
def connected(presets: Presets) -> Iterator[Client]:
    with scripted(presets) as server, Client(server.url) as client:
        yield client


def told(chain: list[ChainedJob]) -> list[tuple[str | None, bool, Any]]:
    """Preset, whether it is new, and the job that it was given."""
    found = []
    for link in chain:
        given = link.job.spec.get("architecture", {}).get("embedded", {}).get("job")
        found.append((link.job.preset, link.new, given))
    return found


def test_a_preset_that_needs_nothing_is_one_job() -> None:
    with connected(Presets()) as client:
        assert told(client.submit_chain(preset="base")) == [("base", True, None)]


def test_what_is_needed_is_queued_first_down_to_the_last() -> None:
    with connected(Presets()) as client:
        chain = client.submit_chain(preset="top", name="mine", labels={"study": "1"})
    assert told(chain) == [("base", True, None), ("middle", True, "job_1"), ("top", True, "job_2")]
    assert [link.job.name for link in chain] == [None, None, "mine"]
    assert all(link.job.labels == {"study": "1"} for link in chain)


def test_the_newest_job_that_succeeded_serves() -> None:
    presets = Presets()
    for state in ("succeeded", "succeeded", "running", "failed"):
        presets.add("middle", state)
    with connected(presets) as client:
        assert told(client.submit_chain(preset="top")) == [("middle", False, None), ("top", True, "job_2")]


@pytest.mark.parametrize("state", ["running", "queued"])
def test_one_that_is_on_its_way_is_waited_for(state: str) -> None:
    presets = Presets()
    presets.add("middle", "paused")
    presets.add("middle", state)
    with connected(presets) as client:
        assert told(client.submit_chain(preset="top")) == [("middle", False, None), ("top", True, "job_2")]


def test_a_job_with_a_changed_spec_does_not_serve() -> None:
    presets = Presets()
    presets.add("base", "succeeded", unchanged=False)
    with connected(presets) as client:
        assert told(client.submit_chain(preset="middle")) == [("base", True, None), ("middle", True, "job_2")]


def test_a_fresh_chain_uses_nothing_that_is_there() -> None:
    presets = Presets()
    presets.add("base", "succeeded")
    presets.add("middle", "succeeded")
    with connected(presets) as client:
        chain = client.submit_chain(preset="top", fresh=True)
    assert told(chain) == [("base", True, None), ("middle", True, "job_3"), ("top", True, "job_4")]


def test_a_job_that_is_named_is_taken_and_other_overrides_stay() -> None:
    presets = Presets()
    presets.add("middle", "succeeded")
    named = {"architecture": {"embedded": {"job": "job_9"}}}
    with connected(presets) as client:
        assert told(client.submit_chain(preset="top", overrides=named)) == [("top", True, "job_9")]
        others = {"architecture": {"n_hidden": 5, "embedded": {"connection": {}}}, "training": {"epochs": 1}}
        *_, last = client.submit_chain({"preset": "top", "overrides": others})
    assert last.job.spec == {
        "architecture": {"n_hidden": 5, "embedded": {"connection": {}, "job": "job_1"}},
        "training": {"epochs": 1},
    }


def test_nothing_is_queued_for_a_job_that_is_wrong_in_other_ways() -> None:
    presets = Presets()
    with connected(presets) as client, pytest.raises(ServiceError, match="seed"):
        client.submit_chain(preset="top", overrides={"seed": -1})
    assert presets.jobs == []


def test_what_was_queued_for_a_job_that_is_refused_after_all_is_cancelled() -> None:
    presets = Presets()
    presets.refused = "top"
    existing = presets.add("base", "succeeded")
    with connected(presets) as client, pytest.raises(ServiceError, match="seed"):
        client.submit_chain(preset="top")
    assert [(job["preset"], job["state"]) for job in presets.jobs] == [("base", "succeeded"), ("middle", "cancelled")]
    assert existing == "job_1"
