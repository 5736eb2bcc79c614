"""Event streams: the format, and connections that break in the middle."""

from __future__ import annotations

import json

import pytest

from service.client import Client, ServiceError, ServiceUnreachable, sse
from tests.client.scripted import HANG_UP, Answer, Request, scripted


def stream(*events: tuple[int, str, dict[str, object]]) -> Answer:
    text = "".join(f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n" for seq, kind, data in events)
    return Answer(200, text, {"Content-Type": "text/event-stream"})


def job(state: str) -> Answer:
    return Answer(200, json.dumps({"id": "job_1", "state": state, "created_at": "2026-01-01T00:00:00Z"}))


RUNNING = (1, "state", {"state": "running"})
PROGRESS = (2, "progress", {"epoch": 1})
SUCCEEDED = (3, "state", {"state": "succeeded"})


def test_comments_and_empty_events_are_skipped_and_data_lines_are_joined() -> None:
    lines = [": keep-alive", "", "event: ping", "", "id: 4", "event: log", 'data: {"message":', 'data:"x"}', ""]
    assert [(e.seq, e.type, e.data) for e in sse.parse(lines)] == [(4, "log", {"message": "x"})]


def test_an_event_that_was_cut_off_is_not_delivered() -> None:
    assert list(sse.parse(["id: 1", "event: log", "data: {}"])) == []


def test_a_stream_that_breaks_goes_on_behind_the_last_event() -> None:
    with scripted([stream(RUNNING, PROGRESS), HANG_UP, stream(SUCCEEDED)]) as server, Client(server.url) as client:
        assert [event.seq for event in client.events("job_1")] == [1, 2, 3]
        assert [request.headers.get("last-event-id") for request in server.requests] == ["0", "2", "2"]


def test_watching_a_job_that_ended_before_ends_at_once() -> None:
    def answer(request: Request) -> Answer:
        return stream() if request.path.endswith("/events") else job("failed")

    with scripted(answer) as server, Client(server.url) as client:
        assert list(client.events("job_1", after=9)) == []


def test_a_job_that_was_cancelled_once_and_resumed_is_followed_to_its_real_end() -> None:
    cancelled, queued = (1, "state", {"state": "cancelled"}), (2, "state", {"state": "queued"})
    with scripted([stream(cancelled, queued), stream(SUCCEEDED)]) as server, Client(server.url) as client:
        assert [event.seq for event in client.events("job_1")] == [1, 2, 3]


def test_a_service_that_does_not_come_back_ends_the_stream_with_an_error() -> None:
    with scripted([stream(RUNNING), HANG_UP]) as server, Client(server.url, patience_s=0.1) as client:
        events = client.events("job_1", reconnect_s=0.5)
        assert next(events).seq == 1
        with pytest.raises(ServiceUnreachable):
            next(events)


def test_a_service_that_is_busy_for_a_moment_does_not_end_the_stream() -> None:
    busy = Answer(503, '{"code": "store_busy"}', {"Retry-After": "1"})
    with scripted([stream(RUNNING), busy, stream(SUCCEEDED)]) as server, Client(server.url) as client:
        assert [event.seq for event in client.events("job_1")] == [1, 3]


def test_an_unknown_job_is_no_reason_to_reconnect() -> None:
    with scripted([Answer(404, '{"code": "job_not_found"}')]) as server, Client(server.url) as client:
        with pytest.raises(ServiceError):
            next(client.events("job_1"))
        assert len(server.requests) == 1
