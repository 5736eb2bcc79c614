"""Sweeps over HTTP: submitted as a whole or not at all, watched, stopped, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.rows import RecordBatch
from service.sweeps.schemas import EXAMPLES
from snncore.presets import list_presets
from tests.service.conftest import RESULT, digits_spec, sqlite_only

STRENGTH = "training.rate_regulariser.strength"


def over_strength(*values: Any, **changes: Any) -> dict[str, Any]:
    return {"preset": "digits/lsnn", "grid": {STRENGTH: list(values)}, **changes}


def post(client: TestClient, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = client.post("/v1/sweeps", json=body, headers=headers)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refused(client: TestClient, body: dict[str, Any], status: int = 422) -> dict[str, Any]:
    """The refusal, after a look that nothing was stored."""
    response = client.post("/v1/sweeps", json=body)
    assert response.status_code == status, response.text
    assert client.get("/v1/jobs").json()["items"] == client.get("/v1/sweeps").json()["items"] == []
    answer: dict[str, Any] = response.json()
    return answer


def places(problem: dict[str, Any]) -> list[list[str | int]]:
    return [error["loc"] for error in problem["errors"]]


Finish = Callable[[str], None]


@pytest.fixture
def finish(database: Database) -> Finish:
    """Run a job to its end without any worker."""

    def run(job_id: str) -> None:
        held = claim(database, job_id, "wrk_1", lease_s=60)
        assert held is not None
        Attempt(database, job_id, held.attempt).succeed(RecordBatch(), RESULT)

    return run


# --- submitting ---------------------------------------------------------------------------------------------------


def test_a_job_is_queued_for_each_grid_point_and_seed(client: TestClient) -> None:
    body = over_strength(0, 50, seeds=[3, 4], max_parallel=2, name="reg", labels={"study": "1"})
    response = client.post("/v1/sweeps", json=body)
    sweep = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    assert (sweep["state"], sweep["n_jobs"], sweep["counts"]["queued"], sweep["max_parallel"]) == ("queued", 4, 4, 2)
    assert [(job["point"], job["seed"], job["role"]) for job in sweep["jobs"]] == [
        ({STRENGTH: strength}, seed, "point") for strength in (0, 50) for seed in (3, 4)
    ]
    for member in sweep["jobs"]:
        job = client.get(member["links"]["self"]).json()
        assert (job["sweep"], job["preset"], job["labels"]) == (sweep["id"], "digits/lsnn", {"study": "1"})
        assert job["spec"]["training"]["rate_regulariser"] == {"target_hz": 50.0, "strength": member["point"][STRENGTH]}
        assert job["spec"]["seed"] == member["seed"]
        assert job["name"] == f"reg: strength = {member['point'][STRENGTH]}, seed = {member['seed']}"
        events = client.get(f"/v1/jobs/{job['id']}/logs")
        assert events.status_code == 200
    assert client.get(response.headers["location"]).json() == sweep
    assert len(client.get(sweep["links"]["jobs"]).json()["items"]) == 4


def test_a_path_below_a_part_that_is_absent_makes_the_part(client: TestClient) -> None:
    spec = digits_spec()
    spec["training"]["rate_regulariser"] = None
    sweep = post(client, {"spec": spec, "points": [{STRENGTH: 5, "training.rate_regulariser.target_hz": 10}]})
    job = client.get(sweep["jobs"][0]["links"]["self"]).json()
    assert job["spec"]["training"]["rate_regulariser"] == {"target_hz": 10.0, "strength": 5.0}


def test_a_kind_and_its_fields_go_together_in_whatever_order_they_stand(client: TestClient) -> None:
    grid = {"neuron.tau_mem_ms": [15.0], "neuron.kind": ["lif", "alif"]}
    sweep = post(client, {"preset": "digits/lsnn", "grid": grid})
    found = [client.get(job["links"]["self"]).json()["spec"]["neuron"] for job in sweep["jobs"]]
    assert [(neuron["kind"], neuron["tau_mem_ms"]) for neuron in found] == [("lif", 15.0), ("alif", 15.0)]


def test_a_value_may_be_a_whole_part(client: TestClient) -> None:
    sweep = post(client, {"preset": "digits/lsnn", "grid": {"neuron": [{"kind": "lif"}, {"kind": "alif"}]}})
    found = [client.get(job["links"]["self"]).json()["spec"]["neuron"]["kind"] for job in sweep["jobs"]]
    assert found == ["lif", "alif"]


def test_a_sweep_over_presets_starts_each_job_from_its_own(client: TestClient) -> None:
    names = ["digits/lsnn", "renner/softmax-exp-4"]
    body = {"grid": {"preset": names, "training.epochs": [1, 2]}, "overrides": {"training": {"batch_size": 16}}}
    sweep = post(client, body)
    assert sweep["preset"] is None
    found = [client.get(job["links"]["self"]).json() for job in sweep["jobs"]]
    assert [(job["preset"], job["spec"]["training"]["epochs"]) for job in found] == [
        (name, epochs) for name in names for epochs in (1, 2)
    ]
    assert {job["spec"]["training"]["batch_size"] for job in found} == {16}


SEQUENTIAL = {
    "kind": "sequential",
    "layers": [{"kind": "dense", "n_units": 8}, {"kind": "spiking"}],
    "readout": {"kind": "leaky"},
}


def test_a_path_reaches_into_a_list_by_number(client: TestClient) -> None:
    spec = {**digits_spec(), "architecture": SEQUENTIAL, "neuron": {"kind": "lif"}}
    spec["training"]["rate_regulariser"] = None
    widths = {"architecture.layers.0": [{"kind": "dense", "n_units": 5}, {"kind": "lstm", "n_units": 6}]}
    sweep = post(client, {"spec": spec, "grid": widths})
    found = [client.get(job["links"]["self"]).json()["spec"]["architecture"]["layers"] for job in sweep["jobs"]]
    assert [(layers[0]["kind"], layers[0]["n_units"]) for layers in found] == [("dense", 5), ("lstm", 6)]


@sqlite_only
@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ({"architecture.layers.0.n_units": [5, -1]}, ["grid", "architecture.layers.0.n_units", 1]),
        ({"architecture.layers.2.n_units": [5]}, ["grid", "architecture.layers.2.n_units", 0]),
        ({"architecture.layers.last": [{"kind": "spiking"}]}, ["grid", "architecture.layers.last", 0]),
    ],
)
def test_a_problem_in_a_list_names_the_value_too(
    client: TestClient, grid: dict[str, Any], expected: list[str | int]
) -> None:
    body = {"preset": "digits/lsnn", "overrides": {"architecture": SEQUENTIAL, "neuron": {"kind": "lif"}}, "grid": grid}
    body["overrides"]["training"] = {"rate_regulariser": None}
    assert places(refused(client, body)) == [expected]


@sqlite_only
def test_overrides_that_miss_a_list_are_refused(client: TestClient) -> None:
    overrides = {"neuron": {"populations": {"2": {"proportion": 1.0}}}}
    for url in ("/v1/sweeps", "/v1/jobs"):
        (error,) = client.post(url, json={"preset": "digits/lsnn", "overrides": overrides}).json()["errors"]
        assert error["loc"] == ["overrides", "neuron", "populations", "2"]
        assert error["type"] == "no_such_element"


# --- presets that are sweeps --------------------------------------------------------------------------------------

SURROGATE = "neuron.surrogate"


def test_a_preset_that_is_a_sweep_brings_its_grid_and_its_seeds(client: TestClient) -> None:
    preset = client.get("/v1/presets/digits/surrogates").json()
    sweep = post(client, {"preset": "digits/surrogates"})
    assert (sweep["grid"], sweep["seeds"]) == (preset["grid"], preset["seeds"])
    assert [(job["point"], job["seed"]) for job in sweep["jobs"]] == [
        ({SURROGATE: value}, seed) for value in preset["grid"][SURROGATE] for seed in preset["seeds"]
    ]


@pytest.mark.parametrize(
    ("own", "n_points", "seeds"),
    [
        ({"seeds": [7]}, 6, [7]),
        ({"grid": {"training.epochs": [1, 2]}}, 2, [0, 1, 2]),
        ({"points": [{"training.epochs": 1}]}, 1, [0, 1, 2]),
        ({"grid": {}, "seeds": [3]}, 1, [3]),
    ],
)
@sqlite_only
def test_what_a_request_says_itself_wins_over_the_preset(
    client: TestClient, own: dict[str, Any], n_points: int, seeds: list[int]
) -> None:
    sweep = post(client, {"preset": "digits/surrogates", **own})
    points = [job["point"] for job in sweep["jobs"]]
    assert (len(points), sweep["seeds"]) == (n_points * len(seeds), seeds)
    assert all((SURROGATE in point) == (n_points == 6) for point in points)


@sqlite_only
def test_a_job_of_a_preset_that_is_a_sweep_is_the_one_that_its_points_start_from(client: TestClient) -> None:
    job = client.post("/v1/jobs", json={"preset": "digits/surrogates"}).json()
    assert job["spec"] == client.get("/v1/presets/digits/surrogates").json()["spec"]


@sqlite_only
def test_every_preset_that_is_a_sweep_can_be_submitted_as_it_stands(client: TestClient) -> None:
    for preset in list_presets():
        if preset.grid or preset.seeds:
            post(client, {"preset": preset.name})


# --- more of submitting -------------------------------------------------------------------------------------------


def test_points_change_fields_together_and_combine_with_the_grid(client: TestClient) -> None:
    points = [{"task.n_outputs": n, "dataset.n_features": n} for n in (3, 5)]
    body = {"preset": "renner/softmax-exp-4", "points": points, "grid": {"training.epochs": [1, 2]}}
    sweep = post(client, body)
    assert [job["point"] for job in sweep["jobs"]] == [
        {**point, "training.epochs": epochs} for point in points for epochs in (1, 2)
    ]
    last = client.get(sweep["jobs"][-1]["links"]["self"]).json()["spec"]
    assert (last["task"]["n_outputs"], last["dataset"]["n_features"], last["training"]["epochs"]) == (5, 5, 2)


def test_without_a_grid_the_seeds_alone_make_the_sweep_and_one_is_the_default(client: TestClient) -> None:
    assert [job["seed"] for job in post(client, {"preset": "digits/lsnn", "seeds": [7, 2**63 - 1]})["jobs"]] == [
        7,
        2**63 - 1,
    ]
    assert [job["seed"] for job in post(client, {"preset": "digits/lsnn"})["jobs"]] == [0]


def test_the_examples_of_the_document_are_accepted_as_they_stand(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    given = document["components"]["schemas"]["SweepSubmission"]["examples"]
    assert given == EXAMPLES
    for example in given:
        post(client, example)


def test_the_same_key_and_body_make_one_sweep(client: TestClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first = post(client, over_strength(0, 1), **key)
    client.post(f"/v1/sweeps/{first['id']}/cancel")
    again = client.post("/v1/sweeps", json=over_strength(0, 1), headers=key)
    assert (again.status_code, again.json()) == (201, first)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(client.get("/v1/sweeps").json()["items"]) == 1
    other = client.post("/v1/sweeps", json=over_strength(0, 2), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_a_key_of_a_job_is_not_one_of_a_sweep_with_the_same_body(client: TestClient) -> None:
    body, key = {"preset": "digits/lsnn"}, {"Idempotency-Key": "k1"}
    assert client.post("/v1/jobs", json=body, headers=key).status_code == 201
    assert client.post("/v1/sweeps", json=body, headers=key).json()["code"] == "idempotency_mismatch"


def test_a_key_is_free_again_when_its_sweep_was_deleted(client: TestClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first = post(client, over_strength(0), **key)
    client.post(f"/v1/sweeps/{first['id']}/cancel")
    assert client.delete(f"/v1/sweeps/{first['id']}").status_code == 204
    assert post(client, over_strength(0), **key)["id"] != first["id"]


# --- what cannot work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (over_strength(0, -1, 50, "x"), [["grid", STRENGTH, 1], ["grid", STRENGTH, 3]]),
        (over_strength(0, grid={"training.epoch": [1]}), [["grid", "training.epoch", 0]]),
        (over_strength(0, grid={"nothing.at.all": [1]}), [["grid", "nothing.at.all", 0]]),
        (
            over_strength(0, grid={"neuron": [{"kind": "lif"}, {"kind": "lif", "x": 1}]}),
            [["grid", "neuron", 1, "x"]],
        ),
        (
            {"preset": "digits/lsnn", "points": [{STRENGTH: 1}, {STRENGTH: -1}]},
            [["points", 1, STRENGTH]],
        ),
        (over_strength(0, 1, overrides={"training": {"epochs": 0}}), [["overrides", "training", "epochs"]]),
        ({"spec": {**digits_spec(), "task": None}, "grid": {STRENGTH: [0, 1]}}, [["spec", "task"]]),
        ({"grid": {"preset": ["digits/lsnn", "digits/lsn", 3]}}, [["grid", "preset", 1], ["grid", "preset", 2]]),
        ({"preset": "nothing"}, [["preset"]]),
        # the parts fit together one by one, but not with each other
        (
            {"preset": "renner/softmax-exp-4", "grid": {"dataset.n_features": [4, 5]}},
            [["grid", "dataset.n_features", 1]],
        ),
    ],
)
def test_a_problem_names_the_value_that_causes_it_and_nothing_is_stored(
    client: TestClient, body: dict[str, Any], expected: list[list[str | int]]
) -> None:
    problem = refused(client, body)
    assert problem["code"] == "invalid_spec"
    assert places(problem) == expected


@sqlite_only
def test_a_problem_says_the_value_and_comes_once_however_many_points_have_it(client: TestClient) -> None:
    body = over_strength(-1, grid={STRENGTH: [-1], "training.epochs": [1, 2, 3]})
    (error,) = refused(client, body)["errors"]
    assert error["msg"].startswith("with strength = -1: ")


@sqlite_only
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [["spec"]]),
        ({"spec": digits_spec(), "preset": "digits/lsnn"}, [["preset"]]),
        ({"preset": "digits/lsnn", "grid": {"preset": ["digits/lsnn"]}}, [["grid", "preset"]]),
        ({"spec": digits_spec(), "overrides": {"seed": 1}}, [["overrides"]]),
        (over_strength(1, 1.0, 2), [["grid", STRENGTH, 1]]),
        (over_strength(0, seeds=[1, 2, 1]), [["seeds", 2]]),
        ({"preset": "digits/lsnn", "points": [{STRENGTH: 1}, {STRENGTH: 1}]}, [["points", 1]]),
        ({"preset": "digits/lsnn", "points": [{STRENGTH: 1}, {"seed": 1}]}, [["points", 1]]),
        (over_strength(0, grid={"training": [{}], "training.epochs": [1]}), [["grid", "training.epochs"]]),
        (over_strength(0, points=[{STRENGTH: 4}]), [["points", 0, STRENGTH]]),
        (over_strength(0, grid={"seed": [1, 2]}), [["grid", "seed"]]),
        (over_strength(0, seeds=[]), [["seeds"]]),
        (over_strength(0, seeds=[-1]), [["seeds", 0]]),
        (over_strength(0, seeds=[True]), [["seeds", 0]]),
        (over_strength(), [["grid", STRENGTH]]),
        (over_strength(0, grid={"training..epochs": [1]}), [["grid", "training..epochs"]]),
        (over_strength(0, max_parallel=0), [["max_parallel"]]),
        (over_strength(0, colour="green"), [["colour"]]),
        (over_strength(0, training={}), [["training"]]),
        (over_strength(0, labels={"": "x"}), [["labels", ""]]),
    ],
)
def test_a_grid_that_makes_no_sense_is_422_whatever_the_spec_is(
    client: TestClient, body: dict[str, Any], expected: list[list[str | int]]
) -> None:
    assert places(refused(client, body)) == expected


@sqlite_only
def test_points_that_resolve_to_the_same_job_are_422(client: TestClient) -> None:
    grid = {"neuron": [{"kind": "lif"}, {"kind": "lif", "tau_mem_ms": 20.0}]}
    (error,) = refused(client, {"preset": "digits/lsnn", "grid": grid})["errors"]
    assert (error["loc"], error["type"]) == (["grid", "neuron", 1], "duplicate")


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
def test_the_limits_of_jobs_and_of_sweeps_hold(limited: Callable[..., TestClient]) -> None:
    client = limited(max_sweep_jobs=4, max_queued_jobs=3, max_total_steps=900)
    many = refused(client, over_strength(0, 1, 2, seeds=[0, 1]))
    assert (many["code"], "max_sweep_jobs = 4" in many["detail"]) == ("limit_exceeded", True)
    waiting = refused(client, over_strength(0, 1, seeds=[0, 1], overrides={"training": {"epochs": 1}}), 429)
    assert "max_queued_jobs = 3" in waiting["detail"]
    dear = refused(client, {"preset": "digits/lsnn", "grid": {"training.epochs": [1, 50, 100]}})
    assert dear["code"] == "limit_exceeded"
    assert places(dear) == [["grid", "training.epochs", 1], ["grid", "training.epochs", 2]]


# --- looking and stopping -----------------------------------------------------------------------------------------


def test_a_sweep_is_counted_live_until_all_its_jobs_have_ended(
    client: TestClient, database: Database, finish: Finish
) -> None:
    sweep = post(client, over_strength(0, 1, 2))
    first, second, third = (job["id"] for job in sweep["jobs"])
    url = f"/v1/sweeps/{sweep['id']}"
    held = claim(database, first, "wrk_1", lease_s=60)
    assert held is not None
    attempt = Attempt(database, first, held.attempt)
    attempt.record(RecordBatch(progress={"epoch": 1, "epochs": 2, "fraction": 0.5}))
    seen = client.get(url)
    assert (seen.json()["state"], seen.json()["counts"]["running"], seen.headers.get("etag")) == ("running", 1, None)
    assert seen.json()["jobs"][0]["fraction"] == 0.5
    attempt.fail("diverged", "the loss is nan")
    finish(second)
    assert client.get(url).json()["state"] == "running"
    assert client.post(f"/v1/jobs/{third}/cancel").status_code == 202
    seen = client.get(url)
    ended = seen.json()
    assert ended["state"] == "finished"
    assert {state: n for state, n in ended["counts"].items() if n} == {"failed": 1, "succeeded": 1, "cancelled": 1}
    assert ended["created_at"] <= ended["started_at"] <= ended["finished_at"]
    assert ended["jobs"][0]["error"] == {"code": "diverged", "detail": "the loss is nan"}
    assert client.get(url, headers={"If-None-Match": seen.headers["etag"]}).status_code == 304


def test_lists_come_in_pages_newest_first(client: TestClient) -> None:
    made = [post(client, over_strength(n))["id"] for n in range(3)]
    page = client.get("/v1/sweeps?limit=2").json()
    assert [sweep["id"] for sweep in page["items"]] == [made[2], made[1]]
    assert "jobs" not in page["items"][0]
    rest = client.get("/v1/sweeps", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert ([sweep["id"] for sweep in rest["items"]], rest["next_cursor"]) == ([made[0]], None)


def test_cancel_stops_what_has_not_ended_and_resume_takes_it_up_again(
    client: TestClient, database: Database, finish: Finish
) -> None:
    sweep = post(client, over_strength(0, 1, 2, 3))
    done, running, paused, _ = (job["id"] for job in sweep["jobs"])
    url = f"/v1/sweeps/{sweep['id']}"
    finish(done)
    held = claim(database, running, "wrk_1", lease_s=60)
    assert held is not None
    client.post(f"/v1/jobs/{paused}/pause")
    for _ in range(2):  # asking again changes nothing
        response = client.post(f"{url}/cancel")
        assert response.status_code == 202
        counts = response.json()["counts"]
        assert (counts["succeeded"], counts["cancelling"], counts["cancelled"]) == (1, 1, 2)
    early = client.post(f"{url}/resume")
    assert (early.status_code, early.json()["code"]) == (409, "sweep_not_finished")
    Attempt(database, running, held.attempt).stopped("cancel", RecordBatch())
    assert client.get(url).json()["state"] == "finished"
    resumed = client.post(f"{url}/resume")
    assert (resumed.status_code, resumed.json()["counts"]["queued"]) == (202, 3)


def test_a_sweep_is_deleted_with_its_jobs_once_all_have_ended(client: TestClient, finish: Finish) -> None:
    sweep = post(client, over_strength(0, 1))
    other = post(client, over_strength(0))
    url = f"/v1/sweeps/{sweep['id']}"
    finish(sweep["jobs"][0]["id"])
    response = client.delete(url)
    assert (response.status_code, response.json()["code"]) == (409, "sweep_not_finished")
    assert "1 jobs" in response.json()["detail"]
    client.post(f"{url}/cancel")
    assert client.delete(url).status_code == 204
    assert client.get(url).json()["code"] == "sweep_not_found"
    assert [job["sweep"] for job in client.get("/v1/jobs").json()["items"]] == [other["id"]]


def test_a_job_that_was_deleted_alone_leaves_its_sweep_in_order(client: TestClient, finish: Finish) -> None:
    sweep = post(client, over_strength(0, 1))
    gone, left = (job["id"] for job in sweep["jobs"])
    finish(gone)
    assert client.delete(f"/v1/jobs/{gone}").status_code == 204
    seen = client.get(f"/v1/sweeps/{sweep['id']}").json()
    assert ([job["id"] for job in seen["jobs"]], seen["n_jobs"]) == ([left], 1)


@sqlite_only
@pytest.mark.parametrize("sweep_id", ["x", "swp_1", "swp_01m81tawy647vy65xm2jvgsajc", "a%00b", "😀"])
@pytest.mark.parametrize(
    ("method", "tail"), [("GET", ""), ("GET", "/table"), ("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")]
)
def test_an_unknown_sweep_is_404(client: TestClient, sweep_id: str, method: str, tail: str) -> None:
    response = client.request(method, f"/v1/sweeps/{sweep_id}{tail}")
    assert (response.status_code, response.json()["code"]) == (404, "sweep_not_found")
