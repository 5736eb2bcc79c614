"""POST /v1/jobs and /v1/jobs/validate, when they are used as they should be."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.presets.job_schema import examples
from service.settings import Settings
from service.store import idempotency
from service.store.engine import Database
from service.store.tables import Idempotency
from service.store.types import utcnow
from tests.service.conftest import digits_spec, sqlite_only


def test_a_job_is_queued_with_every_default_filled_in(client: TestClient) -> None:
    response = client.post("/v1/jobs", json={**digits_spec(), "name": "first", "labels": {"study": "1"}})
    assert response.status_code == 201
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["name"], job["labels"], job["attempt"]) == ("queued", "first", {"study": "1"}, 0)
    assert job["spec"]["device"] == "auto"
    assert job["spec"]["seed"] == 0
    assert job["spec"]["recording"]["kind"] == "spikes"
    assert (job["progress"], job["summary"], job["error"], job["started_at"]) == (None, {}, None, None)
    assert job["created_at"].endswith("Z")
    for link in job["links"].values():
        if not link.endswith("/events"):  # which stays open while the job is queued
            assert client.get(link).status_code in {200, 409}, link
    assert client.get(response.headers["location"]).json() == job


def test_a_resolved_spec_resolves_to_itself(client: TestClient) -> None:
    first = client.post("/v1/jobs", json=digits_spec()).json()["spec"]
    assert client.post("/v1/jobs", json=first).json()["spec"] == first


def test_a_preset_takes_overrides(client: TestClient) -> None:
    body = {"preset": "digits/lsnn", "overrides": {"training": {"epochs": 3}, "neuron": {"kind": "lif"}}, "name": "p"}
    job = client.post("/v1/jobs", json=body).json()
    assert job["preset"] == "digits/lsnn"
    assert job["spec"]["training"]["epochs"] == 3
    assert job["spec"]["training"]["batch_size"] == 64
    assert job["spec"]["neuron"]["kind"] == "lif"
    assert "populations" not in job["spec"]["neuron"]


def test_validate_says_what_it_will_cost_and_queues_nothing(client: TestClient) -> None:
    response = client.post("/v1/jobs/validate", json={"preset": "digits/lsnn"})
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"spec", "estimate", "warnings"}
    assert set(answer["estimate"]) == {"parameters", "steps", "peak_memory_bytes", "flops"}
    assert answer["estimate"]["parameters"] > 10_000
    assert client.get("/v1/jobs").json()["items"] == []


def test_the_examples_of_the_document_are_accepted_as_they_stand(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    given = document["components"]["schemas"]["JobSubmission"]["examples"]
    assert given == examples()
    assert len(given) >= 2
    for example in given:
        response = client.post("/v1/jobs", json=example)
        assert response.status_code == 201, response.text


def test_warnings_of_the_spec_are_on_the_job_from_the_start(client: TestClient) -> None:
    spec = digits_spec()
    spec["encoding"]["max_rate_hz"] = 5000.0
    assert "max_rate_hz" in client.post("/v1/jobs", json=spec).json()["warnings"][0]


# --- Idempotency-Key ----------------------------------------------------------------------------------------------


def post(client: TestClient, key: str, body: dict[str, Any] | None = None) -> Any:
    return client.post("/v1/jobs", json=body or digits_spec(), headers={"Idempotency-Key": key})


def test_the_same_key_and_body_queue_one_job_and_give_the_first_answer(client: TestClient) -> None:
    first = post(client, "k1")
    client.post(f"/v1/jobs/{first.json()['id']}/cancel")
    second = post(client, "k1")
    assert (second.status_code, second.json()) == (201, first.json())
    assert second.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_the_order_of_fields_makes_no_other_body(client: TestClient) -> None:
    spec = digits_spec()
    assert post(client, "k1", spec).json() == post(client, "k1", dict(reversed(spec.items()))).json()


def test_the_same_key_with_another_body_is_422(client: TestClient) -> None:
    post(client, "k1")
    response = post(client, "k1", {**digits_spec(), "seed": 2})
    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_mismatch"


def test_another_key_queues_another_job(client: TestClient) -> None:
    assert post(client, "k1").json()["id"] != post(client, "k2").json()["id"]


def test_a_key_whose_request_is_in_flight_is_409(client: TestClient, database: Database) -> None:
    digest = "x" * 64
    with database.write() as session:
        idempotency.reserve(session, "anyone", "k1", digest, 1000)
        row = session.get(Idempotency, ("anyone", "k1"))
        assert row is not None
        import hashlib

        row.request_sha256 = hashlib.sha256(json.dumps(digits_spec(), sort_keys=True).encode()).hexdigest()
        row.created_at = utcnow()
    response = post(client, "k1")
    assert response.status_code == 409
    assert response.json()["code"] == "idempotency_in_flight"
    assert response.headers["retry-after"] == "1"


def test_many_at_once_with_one_key_queue_one_job(client: TestClient) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(client, "k1"), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_a_refused_request_leaves_its_key_free(client: TestClient) -> None:
    assert post(client, "k1", {**digits_spec(), "seed": -1}).status_code == 422
    assert post(client, "k1").status_code == 201


@sqlite_only
@pytest.mark.parametrize("key", ["x" * 256, "with space", "é"])
def test_a_key_that_is_no_token_is_422(client: TestClient, key: str) -> None:
    response = client.post("/v1/jobs", json=digits_spec(), headers={"Idempotency-Key": key.encode()})
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"][0] == "header"


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(settings: Settings, database: Database) -> Iterator[Callable[..., TestClient]]:
    clients: list[TestClient] = []

    def make(**limits: int) -> TestClient:
        app = create_app(settings.model_copy(update=limits), database=database)
        clients.append(TestClient(app).__enter__())
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@sqlite_only
def test_a_body_over_the_limit_is_413_by_its_announced_length(limited: Callable[..., TestClient]) -> None:
    response = limited(max_body_bytes=2000).post("/v1/jobs", json={**digits_spec(), "name": "x" * 2000})
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"
    assert "max_body_bytes = 2000" in response.json()["detail"]


@sqlite_only
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate"])
def test_a_body_over_the_limit_is_413_when_it_is_streamed(limited: Callable[..., TestClient], path: str) -> None:
    def stream() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(100):
            yield b"x" * 100
        yield b'"}'

    response = limited(max_body_bytes=2000).post(path, content=stream(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


@sqlite_only
@pytest.mark.parametrize(
    ("limit", "quantity"),
    [("max_peak_memory_bytes", "peak_memory_bytes"), ("max_total_steps", "steps")],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate"])
def test_a_spec_over_a_limit_is_422_and_names_it(
    limited: Callable[..., TestClient], path: str, limit: str, quantity: str
) -> None:
    response = limited(**{limit: 10}).post(path, json=digits_spec())
    assert response.status_code == 422
    assert response.json()["code"] == "limit_exceeded"
    assert f"{limit} = 10" in response.json()["detail"]
    assert response.json()["errors"][0]["loc"] == ["estimate", quantity]


def test_too_many_queued_jobs_are_429_and_the_key_stays_free(limited: Callable[..., TestClient]) -> None:
    client = limited(max_queued_jobs=2)
    job_id = client.post("/v1/jobs", json=digits_spec()).json()["id"]
    client.post("/v1/jobs", json=digits_spec())
    response = post(client, "k1")
    assert response.status_code == 429
    assert "max_queued_jobs = 2" in response.json()["detail"]
    assert int(response.headers["retry-after"]) > 0
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert post(client, "k1").status_code == 201
