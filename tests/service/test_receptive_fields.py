"""Receptive fields over HTTP: listed, as numbers in every format, and as pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from service.store.attempt import Attempt
from service.store.rows import ReceptiveFieldsRow, RecordBatch
from tests.service.conftest import ARROW, LABELS, Recorded, get, make_weights, sqlite_only

GAP = (208, 215, 222)
WHITE, BLUE, RED = (255, 255, 255), (31, 59, 115), (178, 24, 43)


@pytest.fixture
def fields(client: TestClient, recorded: Recorded) -> str:
    """The URL of receptive fields."""
    found = get(client, f"{recorded.url}/receptive-fields?epoch=2&layer=excitatory").json()["items"]
    return f"{recorded.url}/receptive-fields/{found[0]['id']}"


@pytest.fixture
def store(client: TestClient, start: Callable[..., Attempt]) -> Callable[..., str]:
    """Records the fields of one layer and answers their URL."""

    def run(weights: NDArray[np.float32], shape: Any, labels: Any = None) -> str:
        attempt = start()
        attempt.record(RecordBatch(receptive_fields=[ReceptiveFieldsRow(1, 1, "hidden", shape, weights, labels)]))
        url = f"/v1/jobs/{attempt.job_id}/receptive-fields"
        return f"{url}/{get(client, url).json()['items'][0]['id']}"

    return run


def picture(client: TestClient, url: str) -> Image.Image:
    answer = get(client, url, "image/png")
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


def test_they_are_listed_and_filtered(client: TestClient, recorded: Recorded) -> None:
    url = get(client, recorded.url).json()["links"]["receptive_fields"]
    items = get(client, url).json()["items"]
    assert [(one["epoch"], one["layer"]) for one in items] == [
        (2, "other"),
        (2, "excitatory"),
        (1, "other"),
        (1, "excitatory"),
    ]
    first, weights = items[0], make_weights()
    assert (first["step"], first["n_neurons"], first["n_features"], first["shape"]) == (20, 12, 24, [4, 6, 1])
    assert (first["low"], first["high"]) == (weights.min(), weights.max())
    assert first["labels"] == LABELS
    for query, count in (("epoch=1", 2), ("layer=other", 2), ("epoch=7", 0), (f"id={first['id']}", 1)):
        assert len(get(client, f"{url}?{query}").json()["items"]) == count, query
    page = get(client, f"{url}?limit=3").json()
    rest = client.get(url, params={"cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in (*page["items"], *rest["items"])] == [one["id"] for one in items]


WINDOWS = [
    ("", list(range(12))),
    ("neurons=0:3,7,10:", [0, 1, 2, 7, 10, 11]),
    ("neurons=3,3,2:4", [2, 3]),
    ("neurons=50", []),
]


@pytest.mark.parametrize(("query", "neurons"), WINDOWS, ids=[query or "all" for query, _ in WINDOWS])
def test_some_neurons_are_the_same_in_every_format(
    client: TestClient, fields: str, query: str, neurons: list[int]
) -> None:
    weights, labels = make_weights()[neurons], [LABELS[neuron] for neuron in neurons]
    listed = get(client, f"{fields}?{query}").json()
    assert (listed["neurons"], listed["labels"], listed["shape"]) == (neurons, labels, [4, 6, 1])
    assert np.array_equal(np.array(listed["weights"], np.float32).reshape(-1, 24), weights)
    table = pa.ipc.open_stream(get(client, f"{fields}?{query}", ARROW).content).read_all()
    assert (table["neuron"].to_pylist(), table["label"].to_pylist()) == (neurons, labels)
    assert np.array_equal(np.array(table["weights"].to_pylist(), np.float32).reshape(-1, 24), weights)
    arrays = np.load(io.BytesIO(get(client, f"{fields}?{query}&format=npz").content))
    assert arrays["weights"].dtype == np.float32
    assert np.array_equal(arrays["weights"], weights)
    assert (arrays["neurons"].tolist(), arrays["shape"].tolist()) == (neurons, [4, 6, 1])
    assert arrays["labels"].tolist() == [-1 if label is None else label for label in labels]


@sqlite_only
def test_a_picture_has_a_tile_for_each_neuron_with_thin_gaps_and_one_scale_of_colours(
    client: TestClient, store: Callable[..., str]
) -> None:
    weights = np.zeros((5, 4), np.float32)
    weights[1, 3], weights[4, 0] = 0.5, 1.0
    url = store(weights, (2, 2, 1))
    image = picture(client, url)
    scale = (image.width - 1) // 3 // 2
    assert image.size == (3 * (2 * scale + 1) + 1, 2 * (2 * scale + 1) + 1), "three in a row, then two"

    def pixel(neuron: int, row: int, column: int) -> Any:
        left, top = (1 + (neuron % 3) * (2 * scale + 1), 1 + (neuron // 3) * (2 * scale + 1))
        return image.getpixel((left + column * scale + scale // 2, top + row * scale + scale // 2))

    assert pixel(0, 0, 0) == pixel(1, 0, 0) == WHITE
    assert pixel(4, 0, 0) == BLUE
    assert np.allclose(pixel(1, 1, 1), np.mean([WHITE, BLUE], axis=0), atol=2)
    assert pixel(5, 0, 0) == image.getpixel((0, 0)) == image.getpixel((2 * scale + 1, 5)) == GAP
    alone = picture(client, f"{url}?neurons=1")
    assert np.allclose(alone.getpixel((alone.width - 3, alone.height - 3)), pixel(1, 1, 1)), "the scale is the layer's"
    assert get(client, url, "image/png").content == get(client, url, "image/png").content


@sqlite_only
def test_negative_weights_are_red_and_zero_is_white(client: TestClient, store: Callable[..., str]) -> None:
    image = picture(client, store(np.array([[-2, 0, 1, np.nan]], np.float32), (1, 4, 1)))
    y, step = image.height // 2, (image.width - 2) // 4
    seen = [image.getpixel((1 + step // 2 + step * index, y)) for index in range(4)]
    assert seen[0] == RED
    assert seen[1] == WHITE
    assert np.allclose(seen[2], np.mean([WHITE, BLUE], axis=0), atol=2)
    assert seen[3] == GAP


@sqlite_only
@pytest.mark.parametrize(("channels", "wide"), [(3, 2), (2, 4)])
def test_three_channels_are_colours_and_others_stand_side_by_side(
    client: TestClient, store: Callable[..., str], channels: int, wide: int
) -> None:
    weights = np.zeros((1, 2, 2, channels), np.float32)
    weights[0, 0, 1, 1] = 1
    image = picture(client, store(weights.reshape(1, -1), (2, 2, channels)))
    step = (image.height - 2) // 2
    assert (image.width - 2) // step == wide
    lit = image.getpixel((1 + step * (wide - 1) + step // 2, 1 + step // 2))
    assert lit == ((0, 255, 0) if channels == 3 else BLUE)


@sqlite_only
def test_classes_are_written_on_the_tiles_that_have_one(client: TestClient, fields: str) -> None:
    plain, named = (np.asarray(picture(client, f"{fields}?neurons=9:11&labels={word}")) for word in ("false", "true"))
    changed = (plain != named).any(axis=(0, 2))
    half = plain.shape[1] // 2
    assert changed[:half].any()
    assert not changed[half:].any(), "neuron 10 has no class"


@sqlite_only
def test_features_that_are_no_image_have_no_picture(client: TestClient, store: Callable[..., str]) -> None:
    url = store(make_weights(), None)
    response = client.get(url, headers={"Accept": "image/png"})
    assert (response.status_code, response.json()["code"]) == (422, "no_picture")
    assert "application/x-npz" in response.json()["detail"]
    listed = get(client, url).json()
    assert (listed["shape"], listed["labels"]) == (None, None)
    assert set(np.load(io.BytesIO(get(client, url, "application/x-npz").content))) == {"weights", "neurons"}


@sqlite_only
def test_a_weight_that_is_no_number_has_no_word_in_json(client: TestClient, store: Callable[..., str]) -> None:
    url = store(np.array([[1, np.inf]], np.float32), None)
    assert get(client, url).json()["weights"] == [[1, None]]


@sqlite_only
@pytest.mark.parametrize("query", ["neurons=a", "neurons=1-5", "format=svg", "labels=perhaps", "from_ms=1"])
def test_a_bad_query_is_422(client: TestClient, fields: str, query: str) -> None:
    response = client.get(f"{fields}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", query.partition("=")[0]]


@sqlite_only
@pytest.mark.parametrize("fields_id", ["x", "rcf_01h00000000000000000000000", "ras_01h00000000000000000000000", "%ff"])
def test_unknown_ones_are_404(client: TestClient, recorded: Recorded, fields_id: str) -> None:
    response = client.get(f"{recorded.url}/receptive-fields/{fields_id}")
    assert (response.status_code, response.json()["code"]) == (404, "receptive_fields_not_found")


def test_those_of_another_job_are_404(client: TestClient, fields: str, start: Callable[..., Attempt]) -> None:
    other = start().job_id
    assert client.get(f"/v1/jobs/{other}/receptive-fields/{fields.rpartition('/')[2]}").status_code == 404


@sqlite_only
@pytest.mark.parametrize(("accept", "limit"), [("application/json", 5_000), (ARROW, 1_000), ("image/png", 50_000)])
def test_an_answer_over_the_limit_is_422_and_names_it(client: TestClient, fields: str, accept: str, limit: int) -> None:
    app: Any = client.app
    app.state.settings = app.state.settings.model_copy(update={"max_dense_bytes": limit})
    response = client.get(fields, headers={"Accept": accept})
    assert response.status_code == 422
    assert f"max_dense_bytes = {limit}" in response.json()["detail"]


@sqlite_only
def test_a_final_answer_carries_a_tag_of_its_own(client: TestClient, fields: str, store: Callable[..., str]) -> None:
    tags = {get(client, f"{fields}?{query}").headers["etag"] for query in ("", "neurons=1", "format=npz", "format=png")}
    assert len(tags) == 4
    tag = get(client, fields).headers["etag"]
    assert client.get(fields, headers={"If-None-Match": tag}).status_code == 304
    part = client.get(fields, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, get(client, fields).content[:10])
    running = get(client, store(make_weights(), None))
    assert "etag" not in running.headers


# --- confusion ------------------------------------------------------------------------------------------------------


@sqlite_only
def test_the_pairs_that_are_confused_most_come_first(client: TestClient, start: Callable[..., Attempt]) -> None:
    matrix = [[5, 2, 0], [0, 6, 2], [9, 1, 0]]
    attempt = start()
    attempt.succeed(RecordBatch(), {"confusion_matrix": matrix})
    result = get(client, f"/v1/jobs/{attempt.job_id}/result").json()
    assert [(pair["true"], pair["predicted"], pair["count"]) for pair in result["most_confused"]] == [
        (2, 0, 9),
        (0, 1, 2),
        (1, 2, 2),
        (2, 1, 1),
    ]
    assert [pair["share"] for pair in result["most_confused"]] == [0.9, 2 / 7, 0.25, 0.1]


@sqlite_only
def test_a_result_without_classes_has_no_confused_pairs(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    attempt.succeed(RecordBatch(), {"metrics": {}, "confusion_matrix": None})
    assert get(client, f"/v1/jobs/{attempt.job_id}/result").json()["most_confused"] is None
