"""What the client sends and understands of sweeps, and how a watcher bears a service that goes away."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from service.cli.sweep_watching import follow
from service.client import Client
from tests.client.scripted import HANG_UP, Answer, scripted


def sweep(**counts: int) -> dict[str, Any]:
    done = set(counts) <= {"succeeded", "failed", "cancelled"}
    return {
        "id": "swp_1",
        "state": "finished" if done else "running",
        "counts": counts,
        "n_jobs": sum(counts.values()),
        "created_at": "2026-01-01T00:00:00Z",
    }


def answer(**counts: int) -> Answer:
    return Answer(200, json.dumps(sweep(**counts)))


def test_a_sweep_is_sent_with_what_was_given_and_cannot_be_made_twice() -> None:
    with scripted([HANG_UP, answer(queued=4)]) as server, Client(server.url) as client:
        made = client.submit_sweep(preset="digits/lsnn", grid={"training.epochs": [1, 2]}, seeds=[0, 1])
        bodies = [json.loads(request.body) for request in server.requests]
        keys = {request.headers["idempotency-key"] for request in server.requests}
    assert bodies == [{"preset": "digits/lsnn", "grid": {"training.epochs": [1, 2]}, "seeds": [0, 1]}] * 2
    assert len(keys) == 1
    assert (made.n_jobs, made.n_ended, made.is_finished, made.all_succeeded) == (4, 0, False, False)


def test_waiting_ends_when_all_jobs_have_ended_or_the_time_is_up() -> None:
    with scripted([answer(running=1, succeeded=1), answer(succeeded=2)]) as server, Client(server.url) as client:
        assert client.wait_sweep("swp_1", poll_s=0.01).all_succeeded
    with scripted([answer(running=1, failed=2)]) as server, Client(server.url) as client:
        with pytest.raises(TimeoutError, match="2 of 3 jobs"):
            client.wait_sweep("swp_1", timeout_s=0.02, poll_s=0.01)


def test_a_watcher_says_each_change_once_and_waits_for_a_service_that_restarts() -> None:
    away = Answer(503, '{"code": "store_unreachable", "detail": "away"}')
    answers = [answer(queued=2), HANG_UP, away, answer(running=1, queued=1), answer(succeeded=1, failed=1)]
    text = io.StringIO()
    with scripted(answers) as server, Client(server.url, patience_s=0.0) as client:
        last = follow(client, client.sweep("swp_1"), Console(file=text, width=100), poll_s=0.01)
    assert last.counts == {"succeeded": 1, "failed": 1}
    assert text.getvalue().splitlines() == ["2 queued", "1 running  1 queued", "1 succeeded  1 failed"]
