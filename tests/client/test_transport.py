"""Patience with a service that is busy or away, and errors that say what was wrong."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from service.client import Client, ServiceError, ServiceUnreachable
from tests.client.scripted import HANG_UP, Answer, scripted

JOB = json.dumps({"id": "job_1", "state": "queued", "created_at": "2026-01-01T00:00:00Z"})
BUSY = Answer(503, '{"code": "store_busy", "detail": "locked"}', {"Retry-After": "0"})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_refusal_carries_the_problem_details_and_names_each_field() -> None:
    problem = {
        "code": "invalid_spec",
        "detail": "The spec cannot work.",
        "request_id": "r1",
        "errors": [{"loc": ["training", "epochs"], "msg": "should be at least 1", "type": "ge"}],
    }
    with scripted([Answer(422, json.dumps(problem))]) as server, Client(server.url) as client:
        with pytest.raises(ServiceError) as caught:
            client.submit({"task": {}})
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (422, "invalid_spec", "r1")
    assert [error.field for error in caught.value.errors] == ["training.epochs"]
    assert "training.epochs: should be at least 1" in str(caught.value)


def test_an_error_page_of_something_else_is_still_a_service_error() -> None:
    with scripted([Answer(502, "<h1>Bad gateway</h1>", {"Content-Type": "text/html"})]) as server:
        with Client(server.url) as client, pytest.raises(ServiceError, match="Bad gateway") as caught:
            client.job("job_1")
    assert caught.value.status == 502


def test_nobody_there_is_unreachable_and_names_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, patience_s=0.2) as client, pytest.raises(ServiceUnreachable, match=url):
        client.job("job_1")


def test_a_call_waits_for_a_service_that_is_just_starting() -> None:
    port = free_port()
    answered: list[str] = []

    def call() -> None:
        with Client(f"http://127.0.0.1:{port}", patience_s=20) as client:
            answered.append(client.job("job_1").state)

    caller = threading.Thread(target=call)
    caller.start()
    assert _refused(port)
    with scripted([Answer(200, JOB)], port=port):
        caller.join(30)
    assert answered == ["queued"]


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_busy_service_is_asked_again() -> None:
    with scripted([BUSY, BUSY, Answer(200, JOB)]) as server, Client(server.url) as client:
        assert client.job("job_1").id == "job_1"
        assert len(server.requests) == 3


def test_a_service_that_stays_busy_is_reported_as_such() -> None:
    with scripted([BUSY]) as server, Client(server.url, patience_s=0.3) as client:
        with pytest.raises(ServiceError) as caught:
            client.job("job_1")
    assert caught.value.code == "store_busy"


def test_submitting_again_after_a_broken_connection_cannot_queue_twice() -> None:
    with scripted([HANG_UP, BUSY, Answer(201, JOB)]) as server, Client(server.url) as client:
        client.submit(preset="digits/lsnn")
        keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_call_that_may_have_been_carried_out_is_not_repeated() -> None:
    with scripted([HANG_UP]) as server, Client(server.url) as client:
        with pytest.raises(ServiceUnreachable):
            client.pause("job_1")
        assert len(server.requests) == 1


def test_the_api_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKESMITH_API_KEY", "sps_secret")
    with scripted([Answer(200, JOB)]) as server, Client(server.url) as client:
        client.job("job_1")
        assert server.requests[0].headers["authorization"] == "Bearer sps_secret"


def test_lists_are_read_page_by_page_and_only_as_far_as_needed() -> None:
    def page(name: str, cursor: str | None) -> Answer:
        item = json.loads(JOB) | {"id": name}
        return Answer(200, json.dumps({"items": [item], "next_cursor": cursor}))

    with scripted([page("job_3", "c1"), page("job_2", "c2"), page("job_1", None)]) as server:
        with Client(server.url) as client:
            jobs = client.jobs(state="running")
            assert next(jobs).id == "job_3"
            assert len(server.requests) == 1
            assert [job.id for job in jobs] == ["job_2", "job_1"]
            assert "cursor=c2" in server.requests[2].path
            assert all("state=running" in request.path for request in server.requests)


def test_odd_ids_stay_one_part_of_the_path() -> None:
    with scripted([Answer(200, JOB)]) as server, Client(server.url) as client:
        client.job("../jobs?x=1")
        assert server.requests[0].path == "/v1/jobs/..%2Fjobs%3Fx%3D1"
