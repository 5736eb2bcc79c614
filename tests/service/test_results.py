"""Curves, rasters and results, in every format they can be had in."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from service.store.attempt import Attempt
from service.store.rows import MetricRow, RasterRow, RecordBatch
from tests.service.conftest import ARROW, RESULT, Recorded, full_batch, get, make_spikes, sqlite_only

# --- result -------------------------------------------------------------------------------------------------------


def test_the_result_of_a_job_that_succeeded(client: TestClient, recorded: Recorded) -> None:
    result = get(client, f"{recorded.url}/result").json()
    assert (result["job_id"], result["state"], result["reference"]) == (recorded.id, "succeeded", None)
    for name in ("metrics", "confusion_matrix", "firing", "cost", "environment"):
        assert result[name] == RESULT[name], name


@pytest.mark.parametrize("state", ["queued", "running"])
def test_there_is_no_result_before_the_end(
    client: TestClient, submit: Callable[..., str], start: Callable[..., Attempt], state: str
) -> None:
    job_id = submit() if state == "queued" else start().job_id
    response = client.get(f"/v1/jobs/{job_id}/result")
    assert response.status_code == 409
    assert response.json()["code"] == "job_not_finished"


def test_a_job_that_failed_has_as_much_of_a_result_as_it_recorded(
    client: TestClient, start: Callable[..., Attempt]
) -> None:
    attempt = start()
    attempt.fail("diverged", "x", full_batch(make_spikes()))
    result = get(client, f"/v1/jobs/{attempt.job_id}/result").json()
    assert result["state"] == "failed"
    assert result["metrics"]["test"]["accuracy"] == 0.02
    assert result["cost"] is None


def test_the_reference_compares_with_the_published_number(client: TestClient, start: Callable[..., Attempt]) -> None:
    exact = client.post("/v1/jobs", json={"preset": "renner/softmax-exp-4"}).json()["id"]
    other = client.post(
        "/v1/jobs", json={"preset": "renner/softmax-exp-4", "overrides": {"training": {"epochs": 4}}}
    ).json()["id"]
    for job_id, same in ((exact, True), (other, False)):
        start(job_id).succeed(RecordBatch(), RESULT)
        reference = get(client, f"/v1/jobs/{job_id}/result").json()["reference"]
        assert reference["published"] == 0.957
        assert reference["value"] == 0.9375
        assert reference["difference"] == pytest.approx(0.9375 - 0.957)
        assert reference["same_spec"] is same


# --- curves -------------------------------------------------------------------------------------------------------


def test_series_are_listed_with_their_summaries(client: TestClient, recorded: Recorded) -> None:
    items = get(client, f"{recorded.url}/metrics").json()["items"]
    assert [(one["name"], one["split"]) for one in items] == [("accuracy", "test"), ("loss", "test"), ("loss", "train")]
    loss = items[2]
    assert (loss["count"], loss["last"], loss["min"], loss["max"], loss["best_step"]) == (5, 0.02, 0.02, 0.1, 50)


def test_series_come_in_pages(client: TestClient, recorded: Recorded) -> None:
    first = get(client, f"{recorded.url}/metrics?limit=2").json()
    second = client.get(f"{recorded.url}/metrics", params={"cursor": first["next_cursor"]}).json()
    assert [(one["name"], one["split"]) for one in second["items"]] == [("loss", "train")]
    assert second["next_cursor"] is None


def test_a_curve_in_json_csv_and_arrow_is_the_same(client: TestClient, recorded: Recorded) -> None:
    url = f"{recorded.url}/metrics/loss?split=train"
    curve = get(client, url).json()
    assert curve["step"] == [10, 20, 30, 40, 50]
    assert curve["value"] == [1 / 10, 1 / 20, 1 / 30, 1 / 40, 1 / 50]
    rows = list(csv.DictReader(io.StringIO(get(client, url, "text/csv").text)))
    assert [float(row["value"]) for row in rows] == curve["value"]
    assert [row["time"] for row in rows] == curve["time"]
    table = pa.ipc.open_stream(get(client, url, ARROW).content).read_all()
    assert table["step"].to_pylist() == curve["step"]
    assert table["value"].to_pylist() == curve["value"]
    assert get(client, f"{url}&format=csv").text == get(client, url, "text/csv").text


def test_a_range_of_steps_comes_before_thinning_out(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    values = np.random.default_rng(3).normal(size=1000)
    rows = [MetricRow("loss", "train", step, 1, float(value)) for step, value in enumerate(values)]
    attempt.record(RecordBatch(metrics=rows))
    url = f"/v1/jobs/{attempt.job_id}/metrics/loss"
    assert get(client, f"{url}?from=10&to=12").json()["step"] == [10, 11, 12]
    thin = get(client, f"{url}?from=100&to=899&max_points=20").json()
    assert len(thin["step"]) <= 20
    assert (thin["step"][0], thin["step"][-1]) == (100, 899)
    assert max(thin["value"]) == values[100:900].max()
    assert min(thin["value"]) == values[100:900].min()
    assert get(client, f"{url}?from=100&to=899&max_points=20").json() == thin
    assert get(client, f"{url}?from=5&to=2").json()["step"] == []


def test_values_that_are_not_finite_are_null(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    rows = [MetricRow("loss", "train", 1, 1, float("nan")), MetricRow("loss", "train", 2, 1, float("inf"))]
    attempt.record(RecordBatch(metrics=rows))
    url = f"/v1/jobs/{attempt.job_id}/metrics/loss"
    assert get(client, url).json()["value"] == [None, None]
    assert [row["value"] for row in csv.DictReader(io.StringIO(get(client, url, "text/csv").text))] == ["", ""]
    assert pa.ipc.open_stream(get(client, url, ARROW).content).read_all()["value"].to_pylist() == [None, None]


def test_without_a_split_the_first_that_has_the_series_is_taken(client: TestClient, recorded: Recorded) -> None:
    assert get(client, f"{recorded.url}/metrics/loss").json()["split"] == "train"
    assert get(client, f"{recorded.url}/metrics/accuracy").json()["split"] == "test"


def test_names_of_series_may_hold_slashes(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    attempt.record(RecordBatch(metrics=[MetricRow("rate/hidden layer", "test", 1, 1, 5.0)]))
    for name in ("rate/hidden layer", "rate%2Fhidden%20layer"):
        assert get(client, f"/v1/jobs/{attempt.job_id}/metrics/{name}").json()["value"] == [5.0]


@sqlite_only
@pytest.mark.parametrize("tail", ["none", "loss?split=validation", "%00", "a%00b?split=train"])
def test_an_unknown_series_is_404(client: TestClient, recorded: Recorded, tail: str) -> None:
    response = client.get(f"{recorded.url}/metrics/{tail}")
    assert response.status_code == 404
    assert response.json()["code"] == "series_not_found"


# --- rasters ------------------------------------------------------------------------------------------------------


def test_rasters_are_listed_and_filtered(client: TestClient, recorded: Recorded) -> None:
    url = f"{recorded.url}/rasters"
    items = get(client, url).json()["items"]
    assert [(one["epoch"], one["layer"]) for one in items] == [
        (2, "output"),
        (2, "hidden"),
        (1, "output"),
        (1, "hidden"),
    ]
    first = items[0]
    assert (first["n_steps"], first["n_neurons"], first["dt_ms"]) == (40, 12, 0.5)
    assert (first["label"], first["prediction"], first["sample"], first["split"]) == (3, 3, 0, "test")
    assert first["n_spikes"] == int(recorded.spikes.sum())
    for query, count in (
        ("epoch=1", 2),
        ("layer=output", 2),
        ("split=train", 0),
        ("sample=0", 4),
        (f"id={first['id']}", 1),
    ):
        assert len(get(client, f"{url}?{query}").json()["items"]) == count, query
    page = get(client, f"{url}?limit=3").json()
    rest = client.get(url, params={"cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in (*page["items"], *rest["items"])] == [one["id"] for one in items]


def test_what_was_read_out_of_a_sample_comes_with_its_last_layer(
    client: TestClient, start: Callable[..., Attempt]
) -> None:
    reading = {
        "windows_ms": [[0.0, 10.0], [10.0, 20.0]],
        "outputs": [[1.5, float("nan")], [0.25, 2.0]],
        "targets": [[1.0, 0.0], [0.0, 1.0]],
        "unit": "Hz",
        "labels": [None, 1],
        "predictions": [0, 1],
    }
    attempt = start()
    layers = [
        RasterRow(1, 10, "test", layer, 0, 1, 1, 0.5, make_spikes(), what)
        for layer, what in (("hidden", None), ("output", reading))
    ]
    attempt.record(RecordBatch(rasters=layers))
    output, hidden = get(client, f"/v1/jobs/{attempt.job_id}/rasters").json()["items"]
    assert hidden["reading"] is None
    told = output["reading"]
    assert told["outputs"] == [[1.5, None], [0.25, 2.0]], "a number that is none has no word in JSON"
    for name in ("windows_ms", "targets", "unit", "labels", "predictions"):
        assert told[name] == reading[name]
    assert (told["borders_hz"], told["input"]) == (None, None)


def expected(recorded: Recorded, steps: slice, neurons: list[int]) -> list[tuple[float, int]]:
    mask = np.zeros_like(recorded.spikes)
    mask[steps, neurons] = True
    return [(step * 0.5, int(neuron)) for step, neuron in np.argwhere(recorded.spikes & mask)]


WINDOWS = [
    ("", slice(None), list(range(12))),
    ("from_ms=5&to_ms=12.5", slice(10, 25), list(range(12))),
    ("from_ms=5.1&to_ms=5.6", slice(11, 12), list(range(12))),
    ("neurons=0:3,7,9:", slice(None), [0, 1, 2, 7, 9, 10, 11]),
    ("neurons=3,3,2:4", slice(None), [2, 3]),
    ("neurons=:2&to_ms=10", slice(0, 20), [0, 1]),
    ("neurons=50", slice(None), []),
    ("neurons=5:5", slice(None), []),
    ("from_ms=12&to_ms=3", slice(0, 0), []),
    ("from_ms=1e300", slice(0, 0), []),
    ("to_ms=1e300", slice(None), list(range(12))),
]


@sqlite_only
@pytest.mark.parametrize(("query", "steps", "neurons"), WINDOWS, ids=[window[0] or "all" for window in WINDOWS])
def test_a_window_is_the_same_in_every_format(
    client: TestClient, recorded: Recorded, raster: str, query: str, steps: slice, neurons: list[int]
) -> None:
    wanted = expected(recorded, steps, neurons)
    listed = get(client, f"{raster}?{query}").json()
    assert list(zip(listed["times_ms"], listed["neurons"], strict=True)) == wanted
    table = pa.ipc.open_stream(get(client, f"{raster}?{query}", ARROW).content).read_all()
    assert (str(table.schema.field("time_ms").type), str(table.schema.field("neuron").type)) == ("float", "uint32")
    assert list(zip(table["time_ms"].to_pylist(), table["neuron"].to_pylist(), strict=True)) == wanted
    dense = np.load(io.BytesIO(get(client, f"{raster}?{query}", "application/x-npz").content))
    assert dense["spikes"].dtype == np.bool_
    assert dense["spikes"].shape == (len(dense["times_ms"]), len(dense["neurons"]))
    found = [
        (float(dense["times_ms"][step]), int(dense["neurons"][neuron])) for step, neuron in np.argwhere(dense["spikes"])
    ]
    assert found == wanted


def test_the_whole_raster_comes_back_dense(client: TestClient, recorded: Recorded, raster: str) -> None:
    dense = np.load(io.BytesIO(get(client, f"{raster}?format=npz").content))
    assert np.array_equal(dense["spikes"], recorded.spikes)


@sqlite_only
@pytest.mark.parametrize("query", ["", "neurons=3&from_ms=2&to_ms=9", "neurons=50", "from_ms=100"])
def test_pictures(client: TestClient, raster: str, query: str) -> None:
    png = get(client, f"{raster}?{query}", "image/png")
    assert png.headers["content-type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")
    svg = get(client, f"{raster}?{query}", "image/svg+xml")
    assert b"<svg" in svg.content
    assert b"hidden, epoch 2, test sample 0" in svg.content
    assert get(client, f"{raster}?{query}", "image/svg+xml").content == svg.content


@sqlite_only
def test_rates(client: TestClient, recorded: Recorded, raster: str) -> None:
    rates = get(client, f"{raster}/rates?bin_ms=5&group=neuron").json()
    counts = recorded.spikes.reshape(4, 10, 12).sum(axis=1).T
    assert np.allclose(rates["rates_hz"], counts / 0.005)
    assert (rates["times_ms"], rates["neurons"]) == ([0.0, 5.0, 10.0, 15.0], list(range(12)))
    population = get(client, f"{raster}/rates?bin_ms=5").json()
    assert np.allclose(population["rates_hz"], [counts.mean(axis=0) / 0.005])
    assert population["neurons"] is None
    part = get(client, f"{raster}/rates?bin_ms=6&group=neuron&neurons=2,5&from_ms=2&to_ms=10").json()
    steps = recorded.spikes[4:20, [2, 5]]
    assert np.allclose(part["rates_hz"], np.stack([steps[:12].sum(0) / 0.006, steps[12:].sum(0) / 0.002], axis=1))
    assert (part["times_ms"], part["neurons"]) == ([2.0, 8.0], [2, 5])
    assert get(client, f"{raster}/rates?neurons=50").json()["rates_hz"] == []
    assert len(get(client, f"{raster}/rates?bin_ms=1e300").json()["times_ms"]) == 1


@sqlite_only
@pytest.mark.parametrize(
    "query",
    ["from_ms=-1", "from_ms=nan", "to_ms=inf", "neurons=a", "neurons=1-5", "neurons=", "neurons=1,,2", "neurons=-1"],
)
@pytest.mark.parametrize("tail", ["", "/rates"])
def test_a_bad_window_is_422(client: TestClient, raster: str, query: str, tail: str) -> None:
    response = client.get(f"{raster}{tail}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", query.partition("=")[0]]


@sqlite_only
@pytest.mark.parametrize("query", ["bin_ms=0", "bin_ms=-1", "bin_ms=nan", "group=layer", "format=json"])
def test_bad_rates_are_422(client: TestClient, raster: str, query: str) -> None:
    assert client.get(f"{raster}/rates?{query}").status_code == 422


@sqlite_only
def test_a_window_over_the_limit_is_422_and_names_it(client: TestClient, raster: str) -> None:
    app: Any = client.app
    app.state.settings = app.state.settings.model_copy(update={"max_dense_bytes": 100})
    for url in (f"{raster}?format=npz", raster, f"{raster}/rates?bin_ms=0.5&group=neuron&neurons=0:3"):
        response = client.get(url)
        assert response.status_code == 422
        assert "max_dense_bytes = 100" in response.json()["detail"]


@sqlite_only
@pytest.mark.parametrize("raster_id", ["x", "ras_01h00000000000000000000000", "a%00b", "%ff"])
@pytest.mark.parametrize("tail", ["", "/rates"])
def test_an_unknown_raster_is_404(client: TestClient, recorded: Recorded, raster_id: str, tail: str) -> None:
    response = client.get(f"{recorded.url}/rasters/{raster_id}{tail}")
    assert response.status_code == 404
    assert response.json()["code"] == "raster_not_found"


def test_a_raster_of_another_job_is_404(client: TestClient, raster: str, start: Callable[..., Attempt]) -> None:
    other = start().job_id
    assert client.get(f"/v1/jobs/{other}/rasters/{raster.rpartition('/')[2]}").status_code == 404


def test_a_raster_without_spikes_is_empty(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    row = RasterRow(1, 1, "test", "hidden", 0, None, None, 1.0, np.zeros((5, 3), dtype=np.bool_))
    attempt.record(RecordBatch(rasters=[row]))
    url = f"/v1/jobs/{attempt.job_id}/rasters"
    raster_id = get(client, url).json()["items"][0]["id"]
    assert get(client, f"{url}/{raster_id}").json() == {"times_ms": [], "neurons": []}
    assert get(client, f"{url}/{raster_id}", "image/png").content.startswith(b"\x89PNG")
