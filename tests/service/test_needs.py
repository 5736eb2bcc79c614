"""Jobs that embed the trained network of another one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store import jobs
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.ids import new_id
from service.store.rows import RecordBatch
from snncore.presets import get_preset
from snncore.spec import embeddable
from tests.service.conftest import digits_spec, sqlite_only

NEEDED = "renner/softmax-exp-4"


def embedding_spec(job_id: Any, **embedded: Any) -> dict[str, Any]:
    """A job that trains a population in front of the network of `NEEDED`."""
    spec = copy.deepcopy(get_preset(NEEDED).spec)
    spec["architecture"]["embedded"] = {"job": job_id, **embedded}
    return spec


def post(client: TestClient, body: dict[str, Any], status: int = 201, key: str | None = None) -> dict[str, Any]:
    response = client.post("/v1/jobs", json=body, headers={} if key is None else {"Idempotency-Key": key})
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture
def needed(client: TestClient) -> str:
    return str(post(client, {"preset": NEEDED})["id"])


def test_the_network_is_filled_in_from_the_spec_of_the_other_job(client: TestClient, needed: str) -> None:
    job = post(client, embedding_spec(needed))
    embedded = job["spec"]["architecture"]["embedded"]
    assert embedded["job"] == needed
    assert embedded["network"] == embeddable(get_preset(NEEDED).parse()).model_dump(mode="json")
    assert job["state"] == "queued"
    validation = client.post("/v1/jobs/validate", json=embedding_spec(needed))
    assert validation.json()["spec"] == job["spec"]
    assert post(client, job["spec"])["spec"] == job["spec"], "a resolved spec resolves to itself"


def test_jobs_name_what_they_need_and_what_needs_them(client: TestClient, needed: str) -> None:
    a, b = (post(client, embedding_spec(needed))["id"] for _ in range(2))
    here, there = (client.get(f"/v1/jobs/{job_id}").json() for job_id in (a, needed))
    assert (here["needs"], here["needed_by"]) == ([needed], [])
    assert (there["needs"], there["needed_by"]) == ([], [a, b])
    assert [job["id"] for job in client.get(here["links"]["needs"]).json()["items"]] == [needed]
    assert [job["id"] for job in client.get(there["links"]["needed_by"]).json()["items"]] == [b, a]
    assert client.get(there["links"]["needs"]).json()["items"] == []


def test_the_same_request_twice_queues_one_job(client: TestClient, needed: str) -> None:
    first, second = (post(client, embedding_spec(needed), key="k") for _ in range(2))
    assert first == second


def test_a_job_waits_for_the_one_it_needs(client: TestClient, database: Database, needed: str) -> None:
    waiting = post(client, embedding_spec(needed))["id"]
    assert claim(database, waiting, "wrk_1", 60) is None
    held = claim(database, needed, "wrk_1", 60)
    assert held is not None
    Attempt(database, needed, held.attempt).succeed(RecordBatch(), {})
    assert claim(database, waiting, "wrk_1", 60) is not None


def test_a_job_fails_with_the_one_it_needs_and_goes_on_after_it(
    client: TestClient, start: Callable[..., Attempt], needed: str
) -> None:
    waiting = post(client, embedding_spec(needed))["id"]
    start(needed).fail("diverged", "the loss is nan")
    job = client.get(f"/v1/jobs/{waiting}").json()
    assert (job["state"], job["error"]["code"]) == ("failed", "needed_job_failed")
    assert needed in job["error"]["detail"]
    refused = client.post(f"/v1/jobs/{waiting}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "needed_job_ended")
    assert needed in refused.json()["detail"]
    for job_id in (needed, waiting):
        assert client.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"


def test_a_needed_job_is_deleted_after_what_needs_it(
    client: TestClient, start: Callable[..., Attempt], needed: str
) -> None:
    start(needed).succeed(RecordBatch(), {})
    dependent = post(client, embedding_spec(needed))["id"]
    client.post(f"/v1/jobs/{dependent}/cancel")
    refused = client.delete(f"/v1/jobs/{needed}")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_needed")
    assert dependent in refused.json()["detail"]
    assert client.delete(f"/v1/jobs/{dependent}").status_code == 204
    assert client.delete(f"/v1/jobs/{needed}").status_code == 204


# --- what cannot be embedded --------------------------------------------------------------------------------------


def refusal(client: TestClient, body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Place, type and message of each problem, the same whether the job is queued or validated."""
    answers = [client.post(path, json=body) for path in ("/v1/jobs", "/v1/jobs/validate")]
    assert [answer.status_code for answer in answers] == [422, 422], answers[0].text
    errors = [answer.json()["errors"] for answer in answers]
    assert errors[0] == errors[1]
    return [(".".join(map(str, error["loc"])), error["type"], error["msg"]) for error in errors[0]]


@pytest.mark.parametrize("job_id", ["nothing", "job_01m81tav5qayk834832m2mpbts", "x" * 5000])
def test_an_unknown_job_is_422_at_its_place(client: TestClient, job_id: str) -> None:
    ((place, kind, msg), *_) = refusal(client, embedding_spec(job_id))
    assert (place, kind) == ("architecture.embedded.job", "unknown_job")
    assert "there is no job" in msg


@sqlite_only
@pytest.mark.parametrize("job_id", [None, 7, [], {}])
def test_what_is_no_id_is_422_and_the_network_is_not_asked_for(client: TestClient, job_id: Any) -> None:
    assert [place for place, _, _ in refusal(client, embedding_spec(job_id))] == ["architecture.embedded.job"]


@sqlite_only
def test_everything_else_that_is_wrong_is_said_too(client: TestClient) -> None:
    spec = embedding_spec(new_id("job"), colour="green")
    spec["training"]["epochs"] = 0
    places = [place for place, _, _ in refusal(client, spec)]
    assert places == ["architecture.embedded.job", "architecture.embedded.colour", "training.epochs"]


def test_a_network_of_another_form_is_422_with_the_reason(client: TestClient) -> None:
    other = post(client, digits_spec())["id"]
    ((place, kind, msg), *_) = refusal(client, embedding_spec(other))
    assert (place, kind) == ("architecture.embedded.job", "not_embeddable")
    assert other in msg
    assert "spike_count" in msg


@pytest.mark.parametrize("state", ["failed", "cancelling", "cancelled"])
def test_a_job_that_will_not_succeed_is_422_and_says_what_to_do(
    client: TestClient, database: Database, needed: str, state: str
) -> None:
    with database.write() as session:
        jobs.get(session, needed).state = state
    ((place, kind, msg),) = refusal(client, embedding_spec(needed))
    assert (place, kind) == ("architecture.embedded.job", "needed_job_ended")
    assert f"POST /v1/jobs/{needed}/resume" in msg


@pytest.mark.parametrize("state", ["queued", "running", "pausing", "paused", "succeeded"])
def test_a_job_that_may_still_succeed_is_waited_for(
    client: TestClient, database: Database, needed: str, state: str
) -> None:
    with database.write() as session:
        jobs.get(session, needed).state = state
    assert post(client, embedding_spec(needed))["state"] == "queued"


@sqlite_only
def test_a_network_that_is_not_the_jobs_is_422(client: TestClient, needed: str) -> None:
    network = embeddable(get_preset(NEEDED).parse()).model_dump(mode="json")
    assert post(client, embedding_spec(needed, network=network))
    assert post(client, embedding_spec(needed, network=None))
    ((place, kind, msg),) = refusal(client, embedding_spec(needed, network={**network, "n_hidden": 51}))
    assert (place, kind) == ("architecture.embedded.network", "other_network")
    assert "leave it out" in msg


@sqlite_only
def test_a_job_that_ends_between_reading_and_queueing_is_422(
    client: TestClient, database: Database, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = jobs.create

    def create_late(session: Any, **values: Any) -> Any:
        jobs.cancel(session, needed)
        return create(session, **values)

    monkeypatch.setattr(jobs, "create", create_late)
    answer = post(client, embedding_spec(needed), 422)
    assert [(error["loc"], error["type"]) for error in answer["errors"]] == [
        (["architecture", "embedded", "job"], "needed_job_ended")
    ]


# --- presets ------------------------------------------------------------------------------------------------------

DEPENDENT = "renner/store-recall-softmax-network@quick"
BASE = "renner/softmax-reg-4@quick"


def with_job(job_id: str, **others: Any) -> dict[str, Any]:
    return {"preset": DEPENDENT, "overrides": {**others, "architecture": {"embedded": {"job": job_id}}}}


def test_presets_say_what_they_need(client: TestClient) -> None:
    assert client.get(f"/v1/presets/{DEPENDENT}").json()["needs"] == {"architecture.embedded.job": BASE}
    assert client.get(f"/v1/presets/{BASE}").json()["needs"] == {}


@sqlite_only
@pytest.mark.parametrize("overrides", [{}, {"architecture": {"embedded": {"job": None}}}, {"architecture": {}}])
def test_a_preset_without_the_job_that_it_needs_is_422_and_says_which(
    client: TestClient, overrides: dict[str, Any]
) -> None:
    ((place, kind, msg),) = refusal(client, {"preset": DEPENDENT, "overrides": overrides})
    assert (place, kind) == ("overrides.architecture.embedded.job", "needed_job_missing")
    assert BASE in msg
    assert "spikesmith submit" in msg


@sqlite_only
def test_problems_of_a_preset_are_located_in_the_overrides(client: TestClient) -> None:
    unknown = with_job(new_id("job"), seed=-1)
    assert [place for place, _, _ in refusal(client, unknown)] == [
        "overrides.architecture.embedded.job",
        "overrides.seed",
    ]


def test_a_preset_with_its_job_is_queued(client: TestClient) -> None:
    base = post(client, {"preset": BASE})["id"]
    job = post(client, with_job(base))
    assert (job["preset"], job["needs"], job["preset_unchanged"]) == (DEPENDENT, [base], True)


@sqlite_only
def test_a_preset_on_top_of_something_else_is_not_the_preset_as_it_stands(
    client: TestClient, start: Callable[..., Attempt]
) -> None:
    base, changed = (
        post(client, body)["id"] for body in ({"preset": BASE}, {"preset": BASE, "overrides": {"seed": 1}})
    )
    assert client.get(f"/v1/jobs/{base}").json()["preset_unchanged"]
    for body, unchanged in (
        (with_job(base), True),
        (with_job(changed), False),
        (with_job(base, seed=1), False),
        ({**client.get(f"/v1/presets/{BASE}").json()["spec"]}, None),
    ):
        assert post(client, body)["preset_unchanged"] is unchanged


@pytest.mark.parametrize("name", [DEPENDENT.removesuffix("@quick")])
def test_the_result_compares_with_the_published_number(
    client: TestClient, start: Callable[..., Attempt], name: str
) -> None:
    base = post(client, {"preset": BASE.removesuffix("@quick")})["id"]
    job_id = post(client, {**with_job(base), "preset": name})["id"]
    start(base).succeed(RecordBatch(), {})
    start(job_id).succeed(RecordBatch(), {"metrics": {"test": {"accuracy": 0.5}}})
    reference = client.get(f"/v1/jobs/{job_id}/result").json()["reference"]
    assert (reference["preset"], reference["same_spec"]) == (name, True)
