"""Sweeps over presets that need the trained network of another one."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import jobs, queue
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.ids import new_id
from service.store.rows import RecordBatch
from tests.service.conftest import RESULT, sqlite_only

DEPENDENT = "renner/store-recall-softmax-network@quick"
NEEDED = "renner/softmax-reg-4@quick"
OTHER = "renner/store-recall-kwta-network@quick"
JOB = "architecture.embedded.job"


def post(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/sweeps", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def attempt(database: Database, job_id: str) -> Attempt:
    held = claim(database, job_id, "wrk_1", lease_s=60)
    assert held is not None
    return Attempt(database, job_id, held.attempt)


def states(client: TestClient, sweep: dict[str, Any]) -> list[str]:
    return [job["state"] for job in client.get(f"/v1/sweeps/{sweep['id']}").json()["jobs"]]


def test_what_a_preset_needs_is_made_once_and_awaited(client: TestClient, database: Database) -> None:
    sweep = post(client, {"preset": DEPENDENT, "grid": {"training.epochs": [1, 2]}, "seeds": [0, 1], "max_parallel": 1})
    first, *rest = sweep["jobs"]
    assert (first["role"], first["preset"], first["point"], first["seed"]) == ("needed", NEEDED, {}, 0)
    assert [(job["role"], job["point"], job["seed"]) for job in rest] == [
        ("point", {"training.epochs": epochs}, seed) for epochs in (1, 2) for seed in (0, 1)
    ]
    for member in rest:
        job = client.get(member["links"]["self"]).json()
        assert (job["needs"], job["spec"]["architecture"]["embedded"]["job"]) == ([first["id"]], first["id"])
    assert client.get(first["links"]["self"]).json()["sweep"] == sweep["id"]
    assert queue.unrung_of_sweep(database, sweep["id"]) == [first["id"]]
    assert claim(database, rest[0]["id"], "wrk_2", lease_s=60) is None
    attempt(database, first["id"]).succeed(RecordBatch(), RESULT)
    assert queue.unrung_of_sweep(database, sweep["id"]) == queue.freed_by(database, first["id"]) == [rest[0]["id"]]
    attempt(database, rest[0]["id"]).succeed(RecordBatch(), RESULT)
    table = client.get(f"/v1/sweeps/{sweep['id']}/table").json()
    assert [(row["n"], row["n_jobs"]) for row in table["rows"]] == [(1, 2), (0, 2)]


def test_a_sweep_over_presets_makes_what_each_of_them_needs(client: TestClient) -> None:
    sweep = post(client, {"grid": {"preset": [DEPENDENT, OTHER, NEEDED]}, "seeds": [0, 1]})
    needed = {job["preset"]: job["id"] for job in sweep["jobs"] if job["role"] == "needed"}
    assert set(needed) == {NEEDED, "renner/kwta-4-1@quick"}
    found = {
        job["preset"]: client.get(job["links"]["self"]).json()["needs"]
        for job in sweep["jobs"]
        if job["role"] == "point"
    }
    assert found == {DEPENDENT: [needed[NEEDED]], OTHER: [needed["renner/kwta-4-1@quick"]], NEEDED: []}


def test_a_job_that_is_named_is_taken_instead(client: TestClient) -> None:
    given = [client.post("/v1/jobs", json={"preset": NEEDED, "overrides": {"seed": n}}).json()["id"] for n in (0, 1)]
    overrides = {"architecture": {"embedded": {"job": given[0]}}}
    for body in ({"preset": DEPENDENT, "overrides": overrides}, {"preset": DEPENDENT, "grid": {JOB: given}}):
        sweep = post(client, body)
        assert {job["role"] for job in sweep["jobs"]} == {"point"}
        needs = [client.get(job["links"]["self"]).json()["needs"] for job in sweep["jobs"]]
        assert needs == [[job_id] for job_id in given[: len(needs)]]


def test_a_part_that_embeds_nothing_any_more_needs_nothing(client: TestClient) -> None:
    sweep = post(client, {"preset": DEPENDENT, "grid": {"architecture.embedded": [None]}})
    assert [job["role"] for job in sweep["jobs"]] == ["point"]


@sqlite_only
def test_a_job_that_cannot_be_embedded_is_named_where_the_grid_names_it(client: TestClient) -> None:
    gone = new_id("job")
    response = client.post("/v1/sweeps", json={"preset": DEPENDENT, "grid": {JOB: [gone]}})
    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"], error["type"]) == (422, ["grid", JOB, 0], "unknown_job")


def test_cancelling_and_resuming_keep_the_order_of_needs(client: TestClient, database: Database) -> None:
    sweep = post(client, {"preset": DEPENDENT, "seeds": [0, 1]})
    url = f"/v1/sweeps/{sweep['id']}"
    assert client.post(f"{url}/cancel").status_code == 202
    assert states(client, sweep) == ["cancelled"] * 3, "none failed for want of another"
    assert client.post(f"{url}/resume").status_code == 202
    assert states(client, sweep) == ["queued"] * 3
    attempt(database, sweep["jobs"][0]["id"]).fail("diverged", "nan")
    assert states(client, sweep) == ["failed"] * 3
    assert client.post(f"{url}/resume").status_code == 202
    assert states(client, sweep) == ["queued"] * 3


def test_a_sweep_goes_with_what_it_needed_unless_others_need_it(client: TestClient, database: Database) -> None:
    sweep = post(client, {"preset": DEPENDENT, "seeds": [0, 1]})
    overrides = {"architecture": {"embedded": {"job": sweep["jobs"][0]["id"]}}}
    outside = client.post("/v1/jobs", json={"preset": DEPENDENT, "overrides": overrides}).json()["id"]
    for job_id in [job["id"] for job in sweep["jobs"]]:
        attempt(database, job_id).succeed(RecordBatch(), RESULT)
    refused = client.delete(f"/v1/sweeps/{sweep['id']}")
    assert refused.status_code == 409
    assert outside in refused.json()["detail"]
    with database.write() as session:
        jobs.cancel(session, outside)
        jobs.remove(session, outside)
    assert client.delete(f"/v1/sweeps/{sweep['id']}").status_code == 204
    assert client.get("/v1/jobs").json()["items"] == []


@sqlite_only
@pytest.mark.parametrize("limit", ["max_sweep_jobs", "max_queued_jobs"])
def test_needed_jobs_count(settings: Settings, database: Database, limit: str) -> None:
    with TestClient(create_app(settings.model_copy(update={limit: 2}), database=database)) as client:
        response = client.post("/v1/sweeps", json={"preset": DEPENDENT, "seeds": [0, 1]})
        assert response.status_code == (422 if limit == "max_sweep_jobs" else 429)
        assert f"{limit} = 2" in response.json()["detail"]
        assert client.get("/v1/jobs").json()["items"] == []
