"""Server-sent events: the history of a job, and then its news."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import jobs
from service.store.attempt import Attempt
from service.store.engine import Database
from service.store.rows import LogRow, RecordBatch
from tests.service.conftest import Recorded, sqlite_only


def parse(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if line == "" and event:
            yield event
            event = {}
        elif line.startswith(":"):
            yield {"comment": line}
        elif line:
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


def read(client: TestClient, url: str, **headers: str) -> list[dict[str, Any]]:
    response = client.get(f"{url}/events", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    return list(parse(iter(response.text.split("\n"))))


def test_the_history_of_a_job_that_ended_comes_at_once_and_the_stream_ends(
    client: TestClient, recorded: Recorded
) -> None:
    events = read(client, recorded.url)
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    recorded_kinds = {"metric", "raster", "receptive_fields", "checkpoint"}
    assert {event["event"] for event in events} == {"state", "log", "progress", *recorded_kinds}
    assert [event["data"]["state"] for event in events if event["event"] == "state"] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert events[-1]["data"]["state"] == "succeeded"
    metric = next(event for event in events if event["event"] == "metric")
    assert metric["data"]["step"] == 10
    assert {point["split"] for point in metric["data"]["points"]} == {"train", "test"}
    assert all(event["data"]["at"].endswith("Z") for event in events)


def test_last_event_id_replays_what_came_after(client: TestClient, recorded: Recorded) -> None:
    everything = read(client, recorded.url)
    for seen in (1, 5, len(everything) - 1):
        assert read(client, recorded.url, **{"Last-Event-ID": str(seen)}) == everything[seen:]
    assert read(client, recorded.url, **{"Last-Event-ID": "100000"}) == []


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999", ""])
@sqlite_only
def test_a_last_event_id_that_is_none_is_422(client: TestClient, recorded: Recorded, last: str) -> None:
    assert client.get(f"{recorded.url}/events", headers={"Last-Event-ID": last}).status_code == 422


def test_a_resumed_job_is_followed_through_its_first_end(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    attempt.fail("diverged", "x")
    client.post(f"/v1/jobs/{attempt.job_id}/resume")
    start(attempt.job_id).succeed(RecordBatch(), {})
    states = [event["data"]["state"] for event in read(client, f"/v1/jobs/{attempt.job_id}")]
    assert states == ["queued", "running", "failed", "queued", "running", "succeeded"]


def test_more_events_than_fit_a_batch_come_whole_and_in_order(
    client: TestClient, start: Callable[..., Attempt]
) -> None:
    attempt = start()
    attempt.succeed(RecordBatch(logs=[LogRow("info", str(number)) for number in range(1234)]), {})
    logs = [event["data"]["message"] for event in read(client, f"/v1/jobs/{attempt.job_id}") if event["event"] == "log"]
    assert logs == [str(number) for number in range(1234)]


# --- live, over a real socket -------------------------------------------------------------------------------------


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[int]:
    """The application in a real server; answers its port."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_news_come_while_a_job_runs_and_a_new_server_goes_on_where_the_old_one_stopped(
    settings: Settings, database: Database, start: Callable[..., Attempt]
) -> None:
    attempt = start()
    path = f"/v1/jobs/{attempt.job_id}/events"
    with serving(settings) as port, httpx.stream("GET", f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        events = parse(response.iter_lines())
        assert [next(events)["data"]["state"] for _ in range(2)] == ["queued", "running"]
        attempt.record(RecordBatch(logs=[LogRow("info", "one")]))
        seen = next(events)
        assert seen["data"]["message"] == "one"
    attempt.record(RecordBatch(logs=[LogRow("info", "two")]))  # nobody listens
    headers = {"Last-Event-ID": seen["id"]}
    with (
        serving(settings) as port,
        httpx.stream("GET", f"http://127.0.0.1:{port}{path}", headers=headers, timeout=20) as response,
    ):
        events = parse(response.iter_lines())
        assert next(events)["data"]["message"] == "two"
        attempt.succeed(RecordBatch(), {})
        assert [event["data"]["state"] for event in events] == ["succeeded"]


def test_a_paused_job_keeps_its_stream_and_a_deleted_one_ends_it(
    settings: Settings, database: Database, start: Callable[..., Attempt]
) -> None:
    attempt = start()
    with database.write() as session:
        jobs.pause(session, attempt.job_id)
    attempt.stopped("pause", RecordBatch())
    with (
        serving(settings) as port,
        httpx.stream("GET", f"http://127.0.0.1:{port}/v1/jobs/{attempt.job_id}/events", timeout=20) as response,
    ):
        events = parse(response.iter_lines())
        assert [next(events)["data"]["state"] for _ in range(4)] == ["queued", "running", "pausing", "paused"]
        with database.write() as session:
            jobs.cancel(session, attempt.job_id)
        assert next(events)["data"]["state"] == "cancelled"
        assert list(events) == []


def test_a_quiet_stream_is_kept_alive_by_comments(
    settings: Settings, start: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)
    attempt = start()
    with (
        serving(settings) as port,
        httpx.stream("GET", f"http://127.0.0.1:{port}/v1/jobs/{attempt.job_id}/events", timeout=20) as response,
    ):
        assert any("comment" in event for event in parse(response.iter_lines()))


def test_open_streams_hold_no_connection_to_the_database(
    settings: Settings, database: Database, start: Callable[..., Attempt]
) -> None:
    attempt = start()
    app = create_app(settings.model_copy(update={"sse_poll_s": 60.0}), database=database)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/jobs/{attempt.job_id}/events"
    try:
        with httpx.Client(timeout=20) as http:
            streams = [http.stream("GET", url) for _ in range(5)]
            for stream in streams:
                events = parse(stream.__enter__().iter_lines())
                assert [next(events)["data"]["state"] for _ in range(2)] == ["queued", "running"]
            assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
            for stream in streams:
                stream.__exit__(None, None, None)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
