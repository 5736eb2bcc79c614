"""Keys, health, figures, problem details, and what the application may import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text, update

from service.app import create_app
from service.settings import Settings, is_loopback
from service.store import api_keys, workers
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.errors import StoreBusy
from service.store.ids import new_id
from service.store.tables import Worker
from service.store.types import utcnow
from tests.service.conftest import Recorded, digits_spec, sqlite_only

# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(settings: Settings, database: Database) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update={"auth": "on"}), database=database)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def key(database: Database) -> Callable[..., dict[str, str]]:
    def make(*scopes: str) -> dict[str, str]:
        with database.write() as session:
            _, secret = api_keys.create_key(session, "test", scopes)
        return {"Authorization": f"Bearer {secret}"}

    return make


@sqlite_only
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer sps_wrong", "Basic dXNlcjpwYXNz", "sps_x", "Bearer \xe9"]
)
def test_without_a_known_key_everything_is_401_before_anything_is_looked_up(
    guarded: TestClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    job = f"/v1/jobs/{new_id('job')}"
    calls = [("GET", "/v1/jobs"), ("GET", job), ("DELETE", job), ("POST", f"{job}/cancel"), ("POST", "/v1/jobs")]
    calls += [("GET", path) for path in ("/v1/presets", "/v1/schema/job", "/v1/workers", "/metrics", f"{job}/events")]
    for method, path in calls:
        response = guarded.request(method, path, headers=headers)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["code"] == "unauthenticated"


def test_health_needs_no_key(guarded: TestClient) -> None:
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/readyz").status_code == 503


def test_scopes(guarded: TestClient, key: Callable[..., dict[str, str]]) -> None:
    reader, submitter, admin = key("read"), key("submit"), key("admin")
    refused = guarded.post("/v1/jobs", json=digits_spec(), headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "submit" in refused.json()["detail"]
    job = guarded.post("/v1/jobs", json=digits_spec(), headers=submitter)
    assert job.status_code == 201
    url = job.headers["location"]
    for allowed in (reader, submitter, admin):
        assert guarded.get(url, headers=allowed).status_code == 200
    for method, path in (("POST", f"{url}/cancel"), ("POST", f"{url}/pause"), ("DELETE", url)):
        assert guarded.request(method, path, headers=reader).status_code == 403
    assert guarded.post(f"{url}/cancel", headers=admin).status_code == 202
    assert guarded.delete(url, headers=submitter).status_code == 204


def test_a_revoked_key_is_401(guarded: TestClient, database: Database, key: Callable[..., dict[str, str]]) -> None:
    headers = key("read")
    assert guarded.get("/v1/jobs", headers=headers).status_code == 200
    with database.write() as session:
        api_keys.revoke_key(session, api_keys.list_keys(session)[0].id)
    assert guarded.get("/v1/jobs", headers=headers).status_code == 401


def test_keys_do_not_share_idempotency_keys_or_queue_limits(
    settings: Settings, database: Database, key: Callable[..., dict[str, str]]
) -> None:
    app = create_app(settings.model_copy(update={"auth": "on", "max_queued_jobs": 1}), database=database)
    with TestClient(app) as client:
        answers = [
            client.post("/v1/jobs", json=digits_spec(), headers=headers | {"Idempotency-Key": "k"})
            for headers in (key("submit"), key("submit"))
        ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


@pytest.mark.parametrize(
    ("host", "auth", "required"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("::1", "auto", False),
        ("0.0.0.0", "auto", True),
        ("192.168.1.5", "auto", True),
        ("example.org", "auto", True),
        ("127.0.0.1", "on", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_keys_are_asked_for_unless_only_this_machine_can_ask(host: str, auth: Any, required: bool) -> None:
    assert Settings(host=host, auth=auth, _env_file=None).auth_required is required
    assert is_loopback("127.5.5.5")


@sqlite_only
def test_the_document_says_whether_keys_are_asked_for(client: TestClient, guarded: TestClient) -> None:
    open_document, guarded_document = client.get("/openapi.json").json(), guarded.get("/openapi.json").json()
    assert "securitySchemes" not in open_document["components"]
    assert "401" not in open_document["paths"]["/v1/jobs"]["get"]["responses"]
    assert guarded_document["paths"]["/v1/jobs"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in guarded_document["paths"]["/healthz"]["get"]


# --- health and figures -------------------------------------------------------------------------------------------


def test_ready_once_database_broker_and_a_worker_are_there(settings: Settings, database: Database) -> None:
    app = create_app(settings.model_copy(update={"broker_url": "memory://localhost"}), database=database)
    with TestClient(app) as client:
        before = client.get("/readyz")
        assert (before.status_code, before.json()["missing"]) == (503, ["worker"])
        assert "spikesmith worker" in before.json()["checks"]["worker"]["detail"]
        workers.register(database, hostname="h", pid=1, device="cpu", threads=2, slots=1)
        after = client.get("/readyz")
        assert (after.status_code, after.json()["status"], after.json()["missing"]) == (200, "ready", [])


def test_a_broker_that_is_away_is_named(settings: Settings, database: Database, tmp_path: Path) -> None:
    url = f"redis+socket://{tmp_path}/none.sock"
    with TestClient(create_app(settings.model_copy(update={"broker_url": url}), database=database)) as client:
        assert "broker" in client.get("/readyz").json()["missing"]
        # and it does not stand in the way of a job: the housekeeping of a worker will ring
        job = client.post("/v1/jobs", json=digits_spec())
        assert job.status_code == 201
    with database.read() as session:
        query = text("SELECT dispatched_at FROM job")
        assert session.execute(query).scalar_one() is None


def test_a_database_that_was_never_migrated_is_named(tmp_path: Path, empty_url: str) -> None:
    with TestClient(create_app(Settings(home=tmp_path, database_url=empty_url, _env_file=None))) as client:
        response = client.get("/v1/jobs")
        assert (response.status_code, response.json()["code"]) == (503, "store_unreachable")
        assert "spikesmith_store_up 0.0" in client.get("/metrics").text
        answer = client.get("/readyz").json()
        assert {"database", "worker"} <= set(answer["missing"])
        assert "service.migrate" in answer["checks"]["database"]["detail"]


@sqlite_only
def test_a_store_that_is_away_is_503_everywhere_and_healthz_lives(settings: Settings, tmp_path: Path) -> None:
    url = f"postgresql://nobody@/none?host={tmp_path}"
    with TestClient(create_app(settings.model_copy(update={"database_url": url}))) as client:
        for path in ("/v1/jobs", f"/v1/jobs/{new_id('job')}", "/v1/workers"):
            response = client.get(path)
            assert (response.status_code, response.json()["code"]) == (503, "store_unreachable")
            assert response.headers["retry-after"] == "1"
        assert client.post("/v1/jobs", json=digits_spec()).status_code == 503
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["checks"]["database"]["ok"] is False
        assert "spikesmith_store_up 0.0" in client.get("/metrics").text


def test_a_locked_store_is_503_and_says_when_to_come_back(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise StoreBusy("locked")

    monkeypatch.setattr(database, "write", busy)
    response = client.post("/v1/jobs", json=digits_spec())
    assert (response.status_code, response.json()["code"]) == (503, "store_busy")
    assert response.headers["retry-after"] == "1"


def test_workers_are_listed_with_their_jobs(client: TestClient, database: Database, submit: Callable[..., str]) -> None:
    worker_id = workers.register(database, hostname="box", pid=7, device="cuda:0", threads=4, slots=2)
    job_id = submit()
    claim(database, job_id, worker_id, 60)
    (worker,) = client.get("/v1/workers").json()["items"]
    assert (worker["id"], worker["hostname"], worker["device"], worker["jobs"]) == (
        worker_id,
        "box",
        "cuda:0",
        [job_id],
    )
    with database.write() as session:
        session.execute(update(Worker).values(heartbeat_at=utcnow() - timedelta(seconds=31)))
    assert client.get("/v1/workers").json()["items"] == []


def test_figures_tell_of_jobs_queue_workers_and_requests(
    settings: Settings, recorded: Recorded, database: Database
) -> None:
    client = TestClient(create_app(settings, database=database))  # one that has counted nothing yet
    for _ in range(2):
        client.post("/v1/jobs", json=digits_spec())
    workers.register(database, hostname="h", pid=1, device="cpu", threads=1, slots=1)
    client.get(recorded.url)
    client.get("/v1/jobs/none")
    client.request("BREW", "/nowhere/secret")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    figures = response.text
    for line in (
        'spikesmith_jobs{state="queued"} 2.0',
        'spikesmith_jobs{state="succeeded"} 1.0',
        'spikesmith_jobs{state="failed"} 0.0',
        "spikesmith_workers_alive 1.0",
        "spikesmith_store_up 1.0",
        'spikesmith_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0',
        'spikesmith_http_requests_total{method="OTHER",route="unknown",status="404"} 1.0',
        'spikesmith_http_request_duration_seconds_count{method="POST",route="/v1/jobs"} 2.0',
    ):
        assert line in figures, line
    assert "spikesmith_queue_age_seconds" in figures
    assert recorded.id not in figures


# --- presets and schema -------------------------------------------------------------------------------------------


@sqlite_only
def test_presets(client: TestClient) -> None:
    items = client.get("/v1/presets?limit=200").json()["items"]
    names = [preset["name"] for preset in items]
    assert names == sorted(names)
    assert "digits/lsnn" in names
    for preset in items:
        assert client.get(f"/v1/presets/{preset['name']}").json() == preset
        if not preset["needs"]:  # the others want the id of a job in their spec
            assert client.post("/v1/jobs/validate", json=preset["spec"]).status_code == 200, preset["name"]
    renner = client.get("/v1/presets/renner/softmax-exp-4").json()
    assert renner["published"]["value"] == 0.957
    page = client.get("/v1/presets?limit=1").json()
    assert client.get("/v1/presets", params={"cursor": page["next_cursor"]}).json()["items"][0]["name"] == names[1]


@sqlite_only
@pytest.mark.parametrize("name", ["none", "digits", "digits/lsnn/x", "%00", "a/../b"])
def test_an_unknown_preset_is_404(client: TestClient, name: str) -> None:
    response = client.get(f"/v1/presets/{name}")
    assert response.status_code == 404


@sqlite_only
def test_the_schema_of_a_job_stands_alone_and_accepts_the_presets(client: TestClient) -> None:
    import jsonschema_rs

    schema = client.get("/v1/schema/job").json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    validator = jsonschema_rs.validator_for(schema)
    for preset in client.get("/v1/presets").json()["items"]:
        validator.validate(preset["spec"])
    assert not validator.is_valid({**digits_spec(), "colour": "green"})


@sqlite_only
@pytest.mark.parametrize("path", ["/v1/presets", "/v1/presets/digits/lsnn", "/v1/schema/job"])
def test_what_belongs_to_the_version_is_sent_once(client: TestClient, path: str) -> None:
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


# --- problem details and methods ----------------------------------------------------------------------------------


@sqlite_only
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "route_not_found"),
        ("GET", "/v1", 404, "route_not_found"),
        ("PATCH", "/v1/jobs", 405, "method_not_allowed"),
        ("DELETE", "/v1/presets/digits/lsnn", 405, "method_not_allowed"),
        ("GET", "/v1/jobs/none/cancel", 405, "method_not_allowed"),
        ("POST", "/v1/jobs/none/events", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?colour=green", 422, "invalid_request"),
        ("GET", "/healthz?x=1", 422, "invalid_request"),
        ("GET", "/v1/jobs/none", 404, "job_not_found"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert {"type", "title", "detail", "request_id"} <= set(problem)
    assert response.headers["x-request-id"] == problem["request_id"]
    if status == 405:
        assert "OPTIONS" in response.headers["allow"]


@sqlite_only
def test_a_bug_is_a_problem_without_its_traceback(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(database, "read", broken)
    with TestClient(create_app(settings, database=database), raise_server_exceptions=False) as client:
        response = client.get("/v1/jobs")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.headers["x-request-id"] == response.json()["request_id"]


@sqlite_only
def test_a_harmless_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "trace-7"}).headers["x-request-id"] == "trace-7"
    for given in ("a b", "x" * 65, "a\tb", ""):
        assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"].startswith("req_")


def test_options_and_head(client: TestClient, recorded: Recorded) -> None:
    options = client.options("/v1/jobs")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert client.options(f"{recorded.url}/events").headers["allow"] == "GET, OPTIONS"
    for path in (recorded.url, f"{recorded.url}/checkpoints/best", "/v1/presets", "/healthz"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers.get("etag") == get.headers.get("etag")
    assert client.head(f"{recorded.url}/events").status_code == 405


@sqlite_only
def test_every_route_documents_the_problems_that_it_may_answer_with(guarded: TestClient) -> None:
    document = guarded.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            assert any(status.startswith("2") for status in responses), path
            for status, response in responses.items():
                assert "X-Request-ID" in response["headers"], (path, status)
                if status.startswith("4"):
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
            if path.startswith("/v1"):
                assert {"401", "403", "422", "503"} <= set(responses), (path, method)
            if "{job_id}" in path:
                assert "404" in responses, path


# --- imports ------------------------------------------------------------------------------------------------------


@sqlite_only
def test_the_application_runs_without_torch_and_imports_no_drawing(migrated_url: str) -> None:
    program = f"""
import sys
sys.modules["torch"] = None
from service.app import create_app
from service.settings import Settings
app = create_app(Settings(database_url={migrated_url!r}, _env_file=None))
app.openapi()
import service.store.attempt, service.migrate
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def test_an_attempt_needs_no_application(start: Callable[..., Attempt]) -> None:
    assert start().state() == "running"
