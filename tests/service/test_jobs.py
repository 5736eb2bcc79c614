"""Jobs listed, looked at, asked to stop, and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store import jobs
from service.store.attempt import Attempt
from service.store.engine import Database
from service.store.ids import new_id
from service.store.rows import RecordBatch
from tests.service.conftest import Recorded, sqlite_only


def test_a_job_shows_progress_summary_and_warnings(client: TestClient, recorded: Recorded) -> None:
    job = client.get(recorded.url).json()
    assert job["state"] == "succeeded"
    assert job["progress"]["fraction"] == 1.0
    assert job["summary"]["test"]["accuracy"] == {"last": 0.02, "best": 0.1, "best_step": 10}
    assert job["summary"]["train"]["loss"]["best"] == 0.02
    assert job["warnings"] == ["layer hidden is silent"]
    assert job["started_at"] <= job["finished_at"]
    assert job["error"] is None


def test_a_failed_job_says_why(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    attempt.fail("diverged", "the loss is nan at step 3")
    job = client.get(f"/v1/jobs/{attempt.job_id}").json()
    assert (job["state"], job["error"]) == ("failed", {"code": "diverged", "detail": "the loss is nan at step 3"})


@sqlite_only
@pytest.mark.parametrize(
    "job_id", ["x", "job_1", "job_01h00000000000000000000000", "job_" + "u" * 26, "a%00b", "%ff", "😀", "x" * 5000]
)
@pytest.mark.parametrize("tail", ["", "/events", "/result", "/metrics", "/rasters", "/checkpoints/best", "/logs"])
def test_an_unknown_job_is_404(client: TestClient, job_id: str, tail: str) -> None:
    response = client.get(f"/v1/jobs/{job_id}{tail}")
    assert response.status_code == 404
    assert response.json()["code"] == "job_not_found"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume"])
def test_an_unknown_job_cannot_be_acted_on(client: TestClient, action: str) -> None:
    assert client.post(f"/v1/jobs/{new_id('job')}/{action}").status_code == 404
    assert client.delete(f"/v1/jobs/{new_id('job')}").status_code == 404


# --- lists --------------------------------------------------------------------------------------------------------


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()["items"]]


def test_pages_come_newest_first_and_end(client: TestClient, submit: Callable[..., str]) -> None:
    made = [submit() for _ in range(5)]
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        response = client.get("/v1/jobs", params=params)
        seen += ids(response)
        cursor = response.json()["next_cursor"]
    assert seen == made[::-1]
    assert cursor is None


def test_a_page_is_not_moved_by_new_jobs(client: TestClient, submit: Callable[..., str]) -> None:
    made = [submit() for _ in range(4)]
    first = client.get("/v1/jobs?limit=2").json()
    submit()
    assert ids(client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]})) == made[1::-1]


def test_an_oversized_limit_is_coerced(client: TestClient, submit: Callable[..., str]) -> None:
    submit()
    assert len(ids(client.get(f"/v1/jobs?limit={10**30}"))) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "cursor=x",
        "cursor=m00",
        "cursor=j",
        "state=done",
        "label=",
        "label=%3Avalue",
        "label=a%00",
        "q=%00",
        "q=",
        "preset=a%00b",
        "sweep=%00",
        "colour=green",
        "Limit=5",
        "state=queued&staet=running",
    ],
)
@sqlite_only
def test_a_bad_query_is_422_and_named(client: TestClient, query: str) -> None:
    response = client.get(f"/v1/jobs?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"][0] == "query"


def test_filters(client: TestClient, submit: Callable[..., str], database: Database) -> None:
    a = submit(name="Alpha", labels={"study": "1", "who": "ann"})
    b = submit(labels={"study": "2", "note": "x:y"})
    c = client.post("/v1/jobs", json={"preset": "digits/lsnn"}).json()["id"]
    client.post(f"/v1/jobs/{a}/cancel")
    assert ids(client.get("/v1/jobs?state=cancelled")) == [a]
    assert ids(client.get("/v1/jobs?state=cancelled&state=queued")) == [c, b, a]
    assert ids(client.get("/v1/jobs?label=study")) == [b, a]
    assert ids(client.get("/v1/jobs?label=study:1&label=who")) == [a]
    assert ids(client.get("/v1/jobs?label=note:x:y")) == [b]
    assert ids(client.get("/v1/jobs?label=study:3")) == []
    assert ids(client.get("/v1/jobs?preset=digits/lsnn")) == [c]
    assert ids(client.get("/v1/jobs?q=alph")) == [a]
    assert ids(client.get("/v1/jobs?sweep=swp_1")) == []


# --- stopping and going on ----------------------------------------------------------------------------------------


def act(client: TestClient, job_id: str, action: str) -> tuple[int, str]:
    response = client.post(f"/v1/jobs/{job_id}/{action}")
    return response.status_code, response.json().get("state") or response.json()["code"]


def test_a_queued_job_is_cancelled_at_once(client: TestClient, submit: Callable[..., str]) -> None:
    job_id = submit()
    assert act(client, job_id, "cancel") == (202, "cancelled")
    assert act(client, job_id, "cancel") == (202, "cancelled")


def test_a_running_job_is_cancelled_by_its_trainer(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    assert act(client, attempt.job_id, "cancel") == (202, "cancelling")
    assert attempt.record(RecordBatch()) == "cancelling"
    attempt.stopped("cancel", RecordBatch())
    assert client.get(f"/v1/jobs/{attempt.job_id}").json()["state"] == "cancelled"


def test_pause_and_resume(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    job_id = attempt.job_id
    assert act(client, job_id, "resume") == (409, "illegal_transition")
    assert act(client, job_id, "pause") == (202, "pausing")
    assert act(client, job_id, "resume") == (409, "illegal_transition")
    attempt.stopped("pause", RecordBatch())
    assert act(client, job_id, "pause") == (202, "paused")
    assert act(client, job_id, "resume") == (202, "queued")
    again = start(job_id)
    assert again.attempt == 2
    again.succeed(RecordBatch(), {})
    for action in ("pause", "resume", "cancel"):
        assert act(client, job_id, action) == (409, "illegal_transition")


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_resume_continues_what_ended_early(client: TestClient, start: Callable[..., Attempt], ending: str) -> None:
    attempt = start()
    if ending == "failed":
        attempt.fail("diverged", "x")
    else:
        act(client, attempt.job_id, "cancel")
        attempt.stopped("cancel", RecordBatch())
    assert act(client, attempt.job_id, "resume") == (202, "queued")
    job = client.get(f"/v1/jobs/{attempt.job_id}").json()
    assert (job["error"], job["finished_at"]) == (None, None)


@pytest.mark.parametrize("state", ["queued", "running", "pausing", "paused", "cancelling"])
def test_deleting_a_job_that_has_not_ended_is_409(
    client: TestClient, submit: Callable[..., str], database: Database, state: str
) -> None:
    job_id = submit()
    with database.write() as session:
        jobs.get(session, job_id).state = state
    response = client.delete(f"/v1/jobs/{job_id}")
    assert response.status_code == 409
    assert state in response.json()["detail"]
    assert client.get(f"/v1/jobs/{job_id}").status_code == 200


def test_deleting_removes_everything(client: TestClient, recorded: Recorded) -> None:
    assert client.delete(recorded.url).status_code == 204
    for tail in ("", "/metrics", "/rasters", "/checkpoints/best", "/logs", "/result"):
        assert client.get(recorded.url + tail).status_code == 404
    assert client.delete(recorded.url).status_code == 404


# --- logs ---------------------------------------------------------------------------------------------------------


def test_logs_come_newest_first_in_pages(client: TestClient, recorded: Recorded) -> None:
    first = client.get(f"{recorded.url}/logs?limit=2").json()
    assert [line["message"] for line in first["items"]] == ["epoch 2", "layer hidden is silent"]
    assert first["items"][1]["level"] == "warning"
    second = client.get(f"{recorded.url}/logs", params={"cursor": first["next_cursor"]}).json()
    assert [line["message"] for line in second["items"]] == ["epoch 1"]
    assert second["next_cursor"] is None
