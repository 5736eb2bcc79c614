"""The table of a sweep: what it says of the jobs that succeeded, in three formats."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.rows import RecordBatch
from service.sweeps.formats import plus_minus
from service.sweeps.schemas import Statistic
from service.sweeps.table import final_metrics, statistic
from tests.service.conftest import sqlite_only

STRENGTH = "training.rate_regulariser.strength"
Finish = Callable[[str, dict[str, Any] | None], None]


def result(accuracy: float | None, **more: Any) -> dict[str, Any]:
    metrics = {"train": {"loss": 0.1}, "test": {"loss": 0.5, "accuracy": accuracy}}
    return {"metrics": metrics, "firing": {"hidden": {"rate_hz": 40.0}}, "cost": {"wall_time_s": 10.0}, **more}


@pytest.fixture
def finish(database: Database) -> Finish:
    """End a job with a result, or with a failure."""

    def run(job_id: str, result: dict[str, Any] | None) -> None:
        held = claim(database, job_id, "wrk_1", lease_s=60)
        assert held is not None
        attempt = Attempt(database, job_id, held.attempt)
        if result is None:
            attempt.fail("diverged", "the loss is nan")
        else:
            attempt.succeed(RecordBatch(), result)

    return run


@pytest.fixture
def url(client: TestClient, finish: Finish) -> str:
    """Two grid points of three seeds: one all succeeded, of the other one succeeded, one failed and one waits."""
    neurons = [{"kind": "lif"}, {"kind": "alif"}]
    body = {"preset": "digits/lsnn", "grid": {"neuron": neurons}, "seeds": [0, 1, 2], "name": "a|b"}
    sweep = client.post("/v1/sweeps", json=body).json()
    outcomes = [result(0.90), result(0.91), result(0.95), result(0.8), None]
    for job, outcome in zip(sweep["jobs"], outcomes, strict=False):
        finish(job["id"], outcome)
    return f"/v1/sweeps/{sweep['id']}/table"


def test_a_row_has_mean_spread_and_confidence_of_the_jobs_that_succeeded(client: TestClient, url: str) -> None:
    table = client.get(url).json()
    assert (table["state"], table["keys"]) == ("running", ["neuron"])
    assert table["metrics"] == [
        "metrics.test.accuracy",
        "metrics.test.loss",
        "metrics.train.loss",
        "firing.hidden.rate_hz",
        "cost.wall_time_s",
    ]
    full, partial = table["rows"]
    assert (full["point"], full["n"], full["n_jobs"]) == ({"neuron": {"kind": "lif"}}, 3, 3)
    accuracy = full["statistics"]["metrics.test.accuracy"]
    assert accuracy["mean"] == pytest.approx(0.92)
    assert accuracy["std"] == pytest.approx(math.sqrt((0.02**2 + 0.01**2 + 0.03**2) / 2))
    # Student's t with two degrees of freedom leaves 2.5 % above 4.3027.
    assert accuracy["ci95"] == pytest.approx(4.302653 * accuracy["std"] / math.sqrt(3), rel=1e-6)
    assert full["statistics"]["firing.hidden.rate_hz"] == {"mean": 40.0, "std": 0.0, "ci95": 0.0, "n": 3}
    assert (partial["n"], partial["n_jobs"]) == (1, 3)
    assert {state: n for state, n in partial["counts"].items() if n} == {"succeeded": 1, "failed": 1, "queued": 1}
    assert partial["statistics"]["metrics.test.accuracy"] == {"mean": 0.8, "std": None, "ci95": None, "n": 1}


def test_csv_has_every_figure_and_leaves_empty_what_is_not_known(client: TestClient, url: str) -> None:
    response = client.get(url, headers={"Accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    full, partial = csv.DictReader(io.StringIO(response.text))
    assert (full["neuron"], full["n_jobs"], full["n"]) == ('{"kind": "lif"}', "3", "3")
    assert float(full["metrics.test.accuracy.mean"]) == pytest.approx(0.92)
    assert full["cost.wall_time_s.n"] == "3"
    assert (partial["metrics.test.accuracy.mean"], partial["metrics.test.accuracy.std"]) == ("0.8", "")
    assert client.get(f"{url}?format=csv").text == response.text


def test_markdown_is_a_table_of_the_main_metrics(client: TestClient, url: str) -> None:
    response = client.get(url, headers={"Accept": "text/markdown"})
    assert response.headers["content-type"].startswith("text/markdown")
    assert response.text.splitlines() == [
        "| neuron | test accuracy | test loss | n |",
        "| --- | ---: | ---: | ---: |",
        '| {"kind": "lif"} | 0.920 ± 0.026 | 0.5 ± 0 | 3 |',
        '| {"kind": "alif"} | 0.8 | 0.5 | 1 of 3 |',
    ]
    assert client.get(f"{url}?format=markdown").text == response.text


@pytest.mark.parametrize("kind", ["json", "csv", "markdown"])
def test_a_table_can_be_cached_once_all_jobs_have_ended(client: TestClient, url: str, kind: str) -> None:
    assert "etag" not in client.get(url, params={"format": kind}).headers
    client.post(f"{url.removesuffix('/table')}/cancel")
    tag = client.get(url, params={"format": kind}).headers["etag"]
    again = client.get(url, params={"format": kind}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@sqlite_only
def test_a_sweep_that_has_not_begun_has_a_table_of_empty_rows(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json={"preset": "digits/lsnn", "grid": {STRENGTH: [0, 1]}}).json()
    url = f"/v1/sweeps/{sweep['id']}/table"
    table = client.get(url).json()
    assert ([row["point"] for row in table["rows"]], table["metrics"]) == ([{STRENGTH: 0}, {STRENGTH: 1}], [])
    assert client.get(f"{url}?format=markdown").text.splitlines()[2] == "| 0 | 0 of 1 |"
    assert client.get(f"{url}?format=csv").text.splitlines() == [f"{STRENGTH},n_jobs,n", "0,1,0", "1,1,0"]


@sqlite_only
def test_a_metric_that_some_jobs_lack_is_over_those_that_have_it(client: TestClient, finish: Finish) -> None:
    sweep = client.post("/v1/sweeps", json={"preset": "digits/lsnn", "seeds": [0, 1, 2]}).json()
    for job, accuracy in zip(sweep["jobs"], (0.5, math.nan, 0.7), strict=True):
        finish(job["id"], result(accuracy))
    (row,) = client.get(f"/v1/sweeps/{sweep['id']}/table").json()["rows"]
    accuracy, loss = (row["statistics"][f"metrics.test.{name}"] for name in ("accuracy", "loss"))
    assert (accuracy["n"], accuracy["mean"], loss["n"]) == (2, pytest.approx(0.6), 3)


@sqlite_only
def test_an_unknown_format_is_refused(client: TestClient) -> None:
    sweep = client.post("/v1/sweeps", json={"preset": "digits/lsnn"}).json()
    url = f"/v1/sweeps/{sweep['id']}/table"
    assert client.get(url, headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"{url}?format=xml").status_code == 422


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((0.93123, 0.0123), "0.931 ± 0.012"),
        ((0.93123, 0.00999), "0.9312 ± 0.0100"),
        ((48.25, 3.14), "48.2 ± 3.1"),
        ((1234.5, 210.0), "1234 ± 210"),
        ((1.5e9, 2.5e8), "1.5e+09 ± 2.5e+08"),
        ((0.5, 0.0), "0.5 ± 0"),
        ((0.123456, None), "0.1235"),
        ((None, None), "–"),
    ],
)
def test_the_spread_decides_how_many_figures_are_shown(figures: tuple[float | None, float | None], text: str) -> None:
    mean, std = figures
    assert plus_minus(Statistic(mean=mean, std=std, ci95=None, n=3)) == text


def test_the_confidence_is_that_of_a_table_of_students_t() -> None:
    sample = statistic([-1.0, 0.0, 1.0, 0.0, 0.0])  # variance 2 / 4
    assert sample.std == pytest.approx(math.sqrt(0.5))
    assert sample.ci95 == pytest.approx(2.776445 * math.sqrt(0.5 / 5), rel=1e-6)


def test_huge_numbers_have_figures_or_null_but_no_error() -> None:
    assert statistic([1e308, 1e308]).mean == pytest.approx(1e308)
    assert statistic([1e308, -1e308]).mean == 0.0


def test_only_numbers_of_a_result_are_metrics() -> None:
    odd = {"metrics": {"test": {"a": 1, "b": None, "c": True, "d": "x", "e": math.inf}, "train": None}, "firing": None}
    assert final_metrics(odd) == {"metrics.test.a": 1.0}
    assert final_metrics({}) == {}
