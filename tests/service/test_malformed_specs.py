"""Every way to get a spec wrong that we could think of: 422, with the place named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import digits_spec, sqlite_only

DELETE = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The digits spec with one place changed, or taken out."""
    spec = digits_spec()
    node: Any = spec
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in parents:
        node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
    if value is DELETE:
        del node[last]
    else:
        node[last] = value
    return spec


# (what to change, to what, the place that has to be named; None: the changed place itself)
CASES: list[tuple[str, Any, str | None]] = [
    # parts that are missing, of the wrong type or unknown
    ("task", DELETE, None),
    ("dataset", DELETE, None),
    ("encoding", DELETE, None),
    ("architecture", DELETE, None),
    ("neuron", DELETE, None),
    ("training", DELETE, None),
    ("task", None, None),
    ("task", "classification", None),
    ("task", [], None),
    ("neuron", 7, None),
    ("training", [1, 2], None),
    ("colour", "green", None),
    ("Task", {"kind": "classification"}, None),
    ("sweep", "swp_1", None),
    # kinds
    ("task.kind", DELETE, None),
    ("task.kind", "regression", None),
    ("dataset.kind", "imagenet", None),
    ("dataset.kind", None, None),
    ("encoding.kind", "rank_order", None),
    ("encoding.kind", 3, None),
    ("architecture.kind", "transformer", None),
    ("architecture.readout.kind", "linear", None),
    ("neuron.kind", "hodgkin_huxley", None),
    ("neuron.populations.0.neuron.kind", "izhikevich", None),
    ("training.kind", "backprop", None),
    ("training.optimiser.kind", "sgd", None),
    ("training.schedule.kind", "exponential", None),
    ("recording.kind", "everything", None),
    # fields that do not exist
    ("task.colour", 1, None),
    ("dataset.shuffle", True, None),
    ("encoding.rate_hz", 100.0, None),
    ("architecture.hidden", 10, None),
    ("architecture.readout.tau", 10.0, None),
    ("neuron.tau_mem_ms", 10.0, None),
    ("neuron.populations.0.neuron.tau", 10.0, None),
    ("training.learning_rate", 0.1, None),
    ("training.optimiser.momentum", 0.9, None),
    # numbers of the wrong type
    ("encoding.duration_ms", "40", None),
    ("encoding.duration_ms", None, None),
    ("encoding.dt_ms", [1.0], None),
    ("encoding.dt_ms", True, None),
    ("architecture.n_hidden", 10.5, None),
    ("architecture.n_hidden", "ten", None),
    ("architecture.n_hidden", {}, None),
    ("training.epochs", 2.5, None),
    ("training.epochs", "5", None),
    ("training.batch_size", False, None),
    ("seed", 1.5, None),
    ("seed", "1", None),
    ("device", 0, None),
    ("encoding.frames", 2.0, None),
    ("architecture.embedded", "job_1", None),
    ("architecture.embedded", {"job": 5}, "architecture.embedded.job"),
    ("training.rewiring", {"kind": "deep_r", "connectivity": "0.3"}, "training.rewiring.connectivity"),
    # numbers out of range
    ("encoding.frames", 0, None),
    ("encoding.frames", 7, None),
    ("training.rewiring", {"kind": "deep_r", "connectivity": 1.2}, "training.rewiring.connectivity"),
    ("encoding.duration_ms", 0, None),
    ("encoding.duration_ms", -40.0, None),
    ("encoding.dt_ms", 0.0, None),
    ("encoding.dt_ms", 5e-324, None),
    ("encoding.max_rate_hz", -1.0, None),
    ("dataset.test_fraction", 1.0, None),
    ("dataset.test_fraction", -0.1, None),
    ("architecture.n_hidden", 0, None),
    ("architecture.n_hidden", -5, None),
    ("architecture.n_hidden", 10**9, None),
    ("architecture.readout.tau_ms", 0.0, None),
    ("neuron.populations.0.neuron.tau_mem_ms", 0.0, None),
    ("neuron.populations.0.neuron.v_threshold", -1.0, None),
    ("neuron.populations.0.neuron.n_refractory", -1, None),
    ("neuron.populations.0.proportion", 0.0, None),
    ("training.epochs", 0, None),
    ("training.batch_size", 0, None),
    ("training.batch_size", 10**30, None),
    ("training.optimiser.learning_rate", 0.0, None),
    ("training.optimiser.learning_rate", -0.1, None),
    ("training.optimiser.beta1", 1.0, None),
    ("training.gradient_clip_norm", 0.0, None),
    ("training.schedule.final_fraction", 2.0, None),
    ("training.rate_regulariser.strength", -1.0, None),
    ("seed", -1, None),
    ("seed", 2**63, None),
    ("device", "tpu", None),
    ("device", "cuda:x", None),
    # what JSON should not hold, and Python reads all the same
    ("encoding.duration_ms", float("nan"), None),
    ("encoding.duration_ms", float("inf"), None),
    ("training.optimiser.learning_rate", float("-inf"), None),
    ("architecture.n_hidden", float("nan"), None),
    ("name", "a\0b", None),
    ("task.kind", "classi\0fication", None),
    # choices
    ("training.final_weights", "first", None),
    ("training.precision", "float16", None),
    ("neuron.populations.0.neuron.reset", "hard", None),
    # empty collections
    ("neuron.populations", [], None),
    # parts that do not fit together
    ("encoding.dt_ms", 0.3, "encoding.duration_ms"),
    ("encoding.duration_ms", 1e7, None),
    ("encoding.dt_ms", 100.0, "encoding.duration_ms"),
    ("dataset.test_fraction", 0.95, None),
    ("task", {"kind": "softmax", "n_outputs": 4}, "task.n_outputs"),
    (
        "dataset",
        {"kind": "exponential", "n_features": 4, "n_train": 100, "n_validation": 10, "n_test": 10},
        "task.kind",
    ),
    ("training.batch_size", 5000, None),
    ("dataset.validation_fraction", 0.0, "training.final_weights"),
    ("training.schedule.warmup_steps", 100_000, None),
    ("architecture.readout.window_ms", 1000.0, None),
    ("architecture.recurrence", {"delay": {"kind": "constant", "steps": 0}}, "architecture.recurrence.delay.steps"),
    ("architecture.input", {"delay": {"kind": "uniform", "low": 5, "high": 2}}, "architecture.input.delay.high"),
    ("architecture.input", {"delay": {"kind": "constant", "steps": 4000}}, "architecture.input.delay.steps"),
    ("neuron.populations.0.neuron.v_reset", 0.5, None),
    ("neuron.populations.0.neuron.input_scaling", "dt_over_tau", "neuron.populations.1.neuron.input_scaling"),
    # what comes beside the spec
    ("name", "", None),
    ("name", 5, None),
    ("name", "x" * 201, None),
    ("labels", [], None),
    ("labels", {"a": 1}, "labels.a"),
    ("labels", {"a": None}, "labels.a"),
    ("labels", {"a": "x" * 256}, "labels.a"),
    ("labels", {"a": "\0"}, "labels.a"),
    ("labels", {"": "x"}, "labels."),
    ("labels", {"a:b": "x"}, "labels.a:b"),
    ("labels", {"-a": "x"}, "labels.-a"),
    ("labels", {f"k{number}": "" for number in range(65)}, "labels"),
]


def names_of(problem: dict[str, Any]) -> list[str]:
    return [".".join(map(str, error["loc"])) for error in problem["errors"]]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate"])
@pytest.mark.parametrize(
    ("place", "value", "named"),
    CASES,
    ids=[f"{place}={'(gone)' if value is DELETE else repr(value)}"[:60] for place, value, _ in CASES],
)
@sqlite_only  # nothing gets as far as the database
def test_a_malformed_spec_is_refused_and_the_place_named(
    client: TestClient, path: str, place: str, value: Any, named: str | None
) -> None:
    body = json.dumps(changed(place, value))
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    problem = response.json()
    assert (named or place) in names_of(problem)
    assert all(error["msg"] and error["type"] for error in problem["errors"])
    assert client.get("/v1/jobs").json()["items"] == []


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


PRESET_CASES: list[tuple[dict[str, Any], str]] = [
    ({"preset": "none/such"}, "preset"),
    ({"preset": ""}, "preset"),
    ({"preset": None}, "preset"),
    ({"preset": ["digits/lsnn"]}, "preset"),
    ({"preset": "digits/lsnn\0"}, "preset"),
    ({"preset": "digits/lsnn", "overrides": []}, "overrides"),
    ({"preset": "digits/lsnn", "overrides": None}, "overrides"),
    ({"preset": "digits/lsnn", "overrides": {"training": {"epochs": 0}}}, "overrides.training.epochs"),
    ({"preset": "digits/lsnn", "overrides": {"training": None}}, "overrides.training"),
    ({"preset": "digits/lsnn", "overrides": {"colour": 1}}, "overrides.colour"),
    ({"preset": "digits/lsnn", "overrides": {"neuron": {"kind": "lif", "tau": 1}}}, "overrides.neuron.tau"),
    ({"preset": "digits/lsnn", "overrides": {"seed": float("nan")}}, "overrides.seed"),
    ({"preset": "digits/lsnn", "training": {"epochs": 1}}, "training"),
    ({"preset": "digits/lsnn", "name": 1}, "name"),
    ({"preset": "digits/lsnn", "labels": {"a": 1}}, "labels.a"),
    ({"overrides": {"seed": 1}}, "overrides"),
    # the override is right, but the rest of the preset does not go with it
    ({"preset": "digits/lsnn", "overrides": {"dataset": {"validation_fraction": 0.0}}}, "training.final_weights"),
]


@pytest.mark.parametrize(("body", "named"), PRESET_CASES, ids=[json.dumps(body)[:70] for body, _ in PRESET_CASES])
@sqlite_only
def test_a_malformed_preset_job_is_refused_and_the_place_named(
    client: TestClient, body: dict[str, Any], named: str
) -> None:
    response = client.post("/v1/jobs", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert named in names_of(response.json())


BODIES: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"{'a': 1}", "not JSON"),
    (b'{"a": 1,}', "not JSON"),
    (b"null", "JSON object"),
    (b"[]", "JSON object"),
    (b'"text"', "JSON object"),
    (b"12", "JSON object"),
    (b"\xff\xfe\x00", "not"),
    (b'{"a": "\xff"}', "UTF-8"),
    (b"[" * 100_000, "nested"),
    (b'{"a":' * 500 + b"1" + b"}" * 500, "nested"),
    (b'{"name": "\\ud800"}', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (b'{"labels": {"a": "\\u0000"}}', "NUL"),
]


@pytest.mark.parametrize(("body", "said"), BODIES, ids=[repr(body[:20]) for body, _ in BODIES])
@sqlite_only
def test_a_body_that_is_no_json_object_of_clean_text_is_refused(client: TestClient, body: bytes, said: str) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert said in response.json()["detail"]


@pytest.mark.parametrize("place", ["seed", "architecture.n_hidden", "training.epochs"])
@sqlite_only
def test_an_integer_too_long_for_python_is_refused_by_name(client: TestClient, place: str) -> None:
    body = json.dumps(changed(place, 123_456_789)).replace("123456789", "1" * 10_000)
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert place in names_of(response.json())


@sqlite_only
def test_all_problems_are_named_at_once(client: TestClient) -> None:
    spec = copy.deepcopy(digits_spec())
    spec["name"] = 1
    spec["training"]["epochs"] = 0
    spec["architecture"]["colour"] = 1
    response = client.post("/v1/jobs", json=spec)
    assert {"name", "training.epochs", "architecture.colour"} <= set(names_of(response.json()))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
@sqlite_only
def test_a_body_of_another_type_is_415(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("/v1/jobs", content=json.dumps(digits_spec()).encode(), headers=headers)
    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]
