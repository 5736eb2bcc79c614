"""Illustrations over HTTP: for whom, in which formats, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from service.store import api_keys
from service.store.engine import Database
from snncore.illustrations import ILLUSTRATIONS
from tests.service.conftest import sqlite_only

pytestmark = sqlite_only

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw(client: TestClient, name: str, body: Any = None, accept: str = "application/json", **more: Any) -> Any:
    return client.post(f"/v1/illustrations/{name}", json=body or {}, headers={"Accept": accept}, **more)


def examples(client: TestClient, name: str) -> list[dict[str, Any]]:
    """Of the body, as the OpenAPI document has them."""
    document = client.get("/openapi.json").json()
    content = document["paths"][f"/v1/illustrations/{name}"]["post"]["requestBody"]["content"]
    component = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    found: list[dict[str, Any]] = document["components"]["schemas"][component]["examples"]
    return found


def test_the_list_says_what_each_illustration_takes(client: TestClient) -> None:
    items = client.get("/v1/illustrations").json()["items"]
    assert [one["name"] for one in items] == list(ILLUSTRATIONS)
    for one in items:
        assert set(one["defaults"]) == set(one["parameters"]["properties"])
        assert client.post(one["links"]["draw"], json=one["defaults"]).status_code == 200
    (unit,) = [one for one in items if one["name"] == "unit"]
    assert unit["defaults"]["w_input"] == 0.5
    said = unit["parameters"]["properties"]["w_leak"]
    assert (said["minimum"], said["maximum"], said["default"]) == (0, 1, 0.1)


def test_the_list_comes_in_pages(client: TestClient) -> None:
    names, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/illustrations", params=params).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == list(ILLUSTRATIONS)


@pytest.mark.parametrize("name", ILLUSTRATIONS)
def test_examples_are_accepted_as_they_stand_and_answered_with_what_the_library_computes(
    client: TestClient, name: str
) -> None:
    one = ILLUSTRATIONS[name]
    bodies = examples(client, name)
    assert len(bodies) >= 2
    for body in bodies:
        response = draw(client, name, body)
        assert response.status_code == 200, response.text
        assert response.json() == json.loads(one.compute(one.parameters(**body)).model_dump_json())
    assert draw(client, name, {}).content == draw(client, name, bodies[0]).content  # the first one has the defaults


def test_the_page_shows_each_with_a_line_that_works(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "illustrations.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^curl .*/v1/illustrations/(\w+) .*-d '([^']*)'", page, re.MULTILINE))
    assert list(lines) == list(ILLUSTRATIONS)
    for name, body in lines.items():
        response = draw(client, name, json.loads(body))
        assert response.status_code == 200, response.text
        assert f"figures/illustration-{name}.png" in page


@pytest.mark.parametrize("name", ILLUSTRATIONS)
def test_pictures_are_deterministic_and_follow_the_parameters(client: TestClient, name: str) -> None:
    body = examples(client, name)[1]
    first, second = (draw(client, name, body, "image/png") for _ in range(2))
    assert first.headers["content-type"] == "image/png"
    assert first.content.startswith(PNG_SIGNATURE)
    assert first.content == second.content
    assert first.content != draw(client, name, {}, "image/png").content
    svg = draw(client, name, body, "image/svg+xml")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.content == draw(client, name, body, params={"format": "svg"}).content
    assert ElementTree.fromstring(svg.content).tag.endswith("svg")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("unit", {"steps": 1}),
        ("unit", {"w_input": 0, "current": 0}),
        ("unit", {"w_input": -2, "threshold": 0.01}),
        ("period", {"w_leak": 1, "w_input": 0.001}),
        ("period", {"w_leak": 0, "points": 2}),
        ("smoothing", {"steps": 1, "output_width": 1, "reset_width": 1}),
        ("gradient", {"steps": 1}),
        ("gradient", {"surrogates": [{"kind": "zero"}]}),
        ("gradient", {"w_input": 0, "surrogates": [{"kind": "constant"}] * 10, "steps": 30}),
        ("lstm", {"steps": 1, "w_leak": 0}),
        ("coincidence", {"resolution": 2, "cap_steps": 1}),
        ("coincidence", {"resolution": 3, "cap_steps": 1000}),
        ("encodings", {"spike_probability": 0, "gain": 0, "latency_threshold": 1, "delta_threshold": 1, "levels": 1}),
        ("encodings", {"steps_a_column": 200, "levels": 50, "spike_probability": 1}),
        ("image", {"w_input": 0, "image": "digit", "n_lstm": 1, "n_classes": 2}),
        ("image", {"w_input": 10, "image": "china", "pooling": 20}),
    ],
)
def test_ends_of_the_ranges_can_be_drawn(client: TestClient, name: str, body: dict[str, Any]) -> None:
    response = draw(client, name, body, "image/png")
    assert response.status_code == 200, response.text
    assert response.content.startswith(PNG_SIGNATURE)


def test_formats_that_there_are_not_are_406(client: TestClient) -> None:
    response = draw(client, "unit", {}, "text/csv")
    assert response.status_code == 406
    assert "image/png" in response.json()["detail"]


@pytest.mark.parametrize(
    ("name", "body", "loc"),
    [
        ("unit", {"w_leak": 1.5}, ["w_leak"]),
        ("unit", {"steps": 10.5}, ["steps"]),
        ("unit", {"steps": "10"}, ["steps"]),
        ("unit", {"steps": 100_000}, ["steps"]),
        ("unit", {"drawn_input": [0.0] * 3_000}, ["drawn_input"]),
        ("unit", {"drawn_input": [0.0, "x"]}, ["drawn_input", 1]),
        ("unit", {"pattern": "noise"}, ["pattern"]),
        ("unit", {"tau_mem_ms": 20}, ["tau_mem_ms"]),
        ("gradient", {"surrogates": [{"kind": "triangle", "width": 0}]}, ["surrogates", 0, "width"]),
        ("gradient", {"surrogates": [{"kind": "none"}]}, ["surrogates", 0, "kind"]),
        ("image", {"pooling": 3}, ["pooling"]),
        ("encodings", {"digit_index": 1_797}, ["digit_index"]),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "image/png"])
def test_a_refusal_names_the_field(
    client: TestClient, name: str, body: dict[str, Any], loc: list[str | int], accept: str
) -> None:
    response = draw(client, name, body, accept)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [one["loc"] for one in response.json()["errors"]] == [loc]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client: TestClient, number: str) -> None:
    body = f'{{"current": {number}, "drawn_input": [1, {number}]}}'
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/illustrations/unit", content=body, headers=headers)
    assert response.status_code == 422
    assert [one["loc"] for one in response.json()["errors"]] == [["current"], ["drawn_input", 1]]


def test_an_illustration_that_there_is_not_is_404(client: TestClient) -> None:
    response = draw(client, "neuron")
    assert response.status_code == 404
    assert response.json()["code"] == "route_not_found"


def test_whoever_may_read_may_draw(client: TestClient, database: Database) -> None:
    state: Any = client.app
    state.state.settings = state.state.settings.model_copy(update={"auth": "on"})
    with database.write() as session:
        _, key = api_keys.create_key(session, "reader", ["read"])
    assert draw(client, "unit").status_code == 401
    response = client.post("/v1/illustrations/unit", json={}, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200


def test_whole_numbers_may_be_written_with_a_point(client: TestClient) -> None:
    shown = draw(client, "image", {"steps_a_column": 1.0, "pooling": 20.0, "seed": 3.0})
    assert shown.status_code == 200, shown.text
    assert draw(client, "unit", {"steps": 20.5}).json()["errors"][0]["loc"] == ["steps"]
