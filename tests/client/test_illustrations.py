"""What the client sends for an illustration, and what it makes of the answer."""

from __future__ import annotations

import json

import pytest

from service.client import Client, ServiceError
from tests.client.scripted import HANG_UP, Answer, scripted


def test_an_illustration_is_data_unless_a_format_is_asked_for() -> None:
    answers = [Answer(200, '{"spike_steps": [2, 5]}'), Answer(200, "a picture", {"Content-Type": "image/svg+xml"})]
    with scripted([*answers]) as server, Client(server.url) as client:
        assert client.illustration("unit", w_leak=0.2, steps=7) == {"spike_steps": [2, 5]}
        assert client.illustration("image", format="svg", image="digit") == b"a picture"
        first, second = server.requests
    assert (first.method, first.path, json.loads(first.body)) == (
        "POST",
        "/v1/illustrations/unit",
        {"w_leak": 0.2, "steps": 7},
    )
    assert first.headers["accept"] == "application/json"
    assert (second.headers["accept"], json.loads(second.body)) == ("image/svg+xml", {"image": "digit"})


def test_an_illustration_may_be_asked_for_twice() -> None:
    with scripted([HANG_UP, Answer(200, "{}")]) as server, Client(server.url) as client:
        assert client.illustration("unit") == {}
        assert len(server.requests) == 2


def test_a_refused_parameter_is_named() -> None:
    problem = {"code": "invalid_request", "detail": "w_leak: too large", "errors": []}
    problem["errors"] = [{"loc": ["w_leak"], "msg": "too large", "type": "less_than_equal"}]
    with scripted([Answer(422, json.dumps(problem))]) as server, Client(server.url) as client:
        with pytest.raises(ServiceError, match="w_leak"):
            client.illustration("unit", w_leak=2)


def test_the_list_has_parameters_and_defaults() -> None:
    item = {"name": "unit", "title": "A LIF unit", "parameters": {"type": "object"}, "defaults": {"w_leak": 0.1}}
    page = json.dumps({"items": [item], "next_cursor": None})
    with scripted([Answer(200, page)]) as server, Client(server.url) as client:
        (one,) = client.illustrations()
    assert (one.name, one.defaults, one.parameters) == ("unit", {"w_leak": 0.1}, {"type": "object"})
