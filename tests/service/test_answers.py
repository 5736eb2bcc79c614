"""Weights, and how all results go out: in parts, from the cache of the client, in the format asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.store.attempt import Attempt
from service.store.rows import CheckpointRow, MetricRow, RecordBatch
from tests.service.conftest import ARROW, Recorded, full_batch, get, make_spikes, sqlite_only

# --- weights ------------------------------------------------------------------------------------------------------


def test_checkpoints_are_listed_newest_first(client: TestClient, recorded: Recorded) -> None:
    items = get(client, f"{recorded.url}/checkpoints").json()["items"]
    assert [(one["kind"], one["epoch"], one["step"]) for one in items] == [
        ("last", 2, 20),
        ("best", 1, 10),
        ("periodic", 1, 10),
    ]
    assert items[0]["size"] == len(b"last weights")


@pytest.mark.parametrize(
    ("which", "content"),
    [("best", b"best weights"), ("last", b"last weights"), ("1", b"periodic weights"), ("2", b"last weights")],
)
def test_checkpoints_come_by_kind_or_epoch(client: TestClient, recorded: Recorded, which: str, content: bytes) -> None:
    response = get(client, f"{recorded.url}/checkpoints/{which}")
    assert response.content == content
    assert response.headers["content-type"] == "application/octet-stream"
    assert recorded.id in response.headers["content-disposition"]
    listed = {one["sha256"] for one in get(client, f"{recorded.url}/checkpoints").json()["items"]}
    assert response.headers["etag"].strip('"') in listed


@sqlite_only
@pytest.mark.parametrize("which", ["3", "none", "-1", "1.0", "9" * 30, "%00", "²"])
def test_an_unknown_checkpoint_is_404(client: TestClient, recorded: Recorded, which: str) -> None:
    response = client.get(f"{recorded.url}/checkpoints/{which}")
    assert response.status_code == 404
    assert response.json()["code"] == "checkpoint_not_found"


RANGES = [
    ("bytes=0-3", 206, b"best", "bytes 0-3/12"),
    ("bytes=5-", 206, b"weights", "bytes 5-11/12"),
    ("bytes=-7", 206, b"weights", "bytes 5-11/12"),
    ("bytes=-100", 206, b"best weights", "bytes 0-11/12"),
    ("bytes=8-100", 206, b"ghts", "bytes 8-11/12"),
    ("bytes=12-", 416, None, "bytes */12"),
    ("bytes=-0", 416, None, "bytes */12"),
    ("bytes=3-1", 200, b"best weights", None),
    ("bytes=0-1,3-4", 200, b"best weights", None),
    ("lines=0-1", 200, b"best weights", None),
    ("bytes=x", 200, b"best weights", None),
]


@sqlite_only
@pytest.mark.parametrize(("wanted", "status", "content", "content_range"), RANGES, ids=[one[0] for one in RANGES])
def test_ranges(
    client: TestClient, recorded: Recorded, wanted: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    response = client.get(f"{recorded.url}/checkpoints/best", headers={"Range": wanted})
    assert response.status_code == status
    assert response.headers.get("content-range") == content_range
    if content is None:
        assert response.json()["code"] == "range_not_satisfiable"
    else:
        assert response.content == content


def test_a_range_of_something_that_changed_meanwhile_is_the_whole(client: TestClient, recorded: Recorded) -> None:
    url = f"{recorded.url}/checkpoints/best"
    tag = client.get(url).headers["etag"]
    assert client.get(url, headers={"Range": "bytes=0-3", "If-Range": tag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-3", "If-Range": '"other"'}).status_code == 200


@sqlite_only
def test_a_raster_can_be_had_in_ranges(client: TestClient, raster: str) -> None:
    whole = client.get(raster, headers={"Accept": ARROW}).content
    part = client.get(raster, headers={"Accept": ARROW, "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])


# --- caching and formats ------------------------------------------------------------------------------------------

FINAL = ["", "/result", "/metrics", "/metrics/loss", "/metrics/loss?format=csv", "/rasters", "/checkpoints"]


@sqlite_only
@pytest.mark.parametrize("tail", [*FINAL, "/checkpoints/best"])
def test_what_cannot_change_any_more_is_sent_once(client: TestClient, recorded: Recorded, tail: str) -> None:
    first = get(client, recorded.url + tail)
    tag = first.headers["etag"]
    for header in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        again = client.get(recorded.url + tail, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(recorded.url + tail, headers={"If-None-Match": '"x"'}).status_code == 200


@sqlite_only
def test_each_window_and_format_of_a_raster_has_its_own_tag(client: TestClient, raster: str) -> None:
    urls = [raster, f"{raster}?format=png", f"{raster}?to_ms=5", f"{raster}?neurons=1", f"{raster}/rates"]
    tags = [get(client, url).headers["etag"] for url in urls]
    assert len(set(tags)) == len(tags)
    for url, tag in zip(urls, tags, strict=True):
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304


@sqlite_only
@pytest.mark.parametrize("tail", ["", "/metrics", "/metrics/loss", "/rasters", "/checkpoints"])
def test_what_may_still_change_carries_no_tag(client: TestClient, start: Callable[..., Attempt], tail: str) -> None:
    attempt = start()
    attempt.record(full_batch(make_spikes()))
    response = get(client, f"/v1/jobs/{attempt.job_id}{tail}")
    assert "etag" not in response.headers
    assert response.headers["cache-control"] == "no-store"


def test_a_resumed_job_that_ends_again_has_other_tags(client: TestClient, start: Callable[..., Attempt]) -> None:
    attempt = start()
    attempt.fail("diverged", "x", full_batch(make_spikes()))
    url = f"/v1/jobs/{attempt.job_id}/metrics/loss"
    tag = get(client, url).headers["etag"]
    client.post(f"/v1/jobs/{attempt.job_id}/resume")
    start(attempt.job_id).succeed(RecordBatch(metrics=[MetricRow("loss", "train", 60, 6, 0.01)]), {})
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


@sqlite_only
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/png", "image/png"),
        ("image/*", "image/png"),
        ("image/svg+xml, image/png;q=0.5", "image/svg+xml"),
        ("application/json;q=0.1, application/x-npz", "application/x-npz"),
        ("application/json;q=0, */*", ARROW),
        ("IMAGE/PNG", "image/png"),
    ],
)
def test_accept_chooses_the_format(client: TestClient, raster: str, accept: str, media_type: str) -> None:
    assert get(client, raster, accept).headers["content-type"] == media_type


@sqlite_only
@pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "application/json;q=0", "nonsense"])
def test_what_cannot_be_served_is_406_and_names_what_can(client: TestClient, raster: str, accept: str) -> None:
    response = client.get(raster, headers={"Accept": accept})
    assert response.status_code == 406
    assert "application/x-npz" in response.json()["detail"]


def test_a_large_checkpoint_survives_the_way(client: TestClient, start: Callable[..., Attempt]) -> None:
    data = np.random.default_rng(1).bytes(3_000_000)
    attempt = start()
    attempt.record(RecordBatch(checkpoints=[CheckpointRow("last", 1, 1, data)]))
    assert get(client, f"/v1/jobs/{attempt.job_id}/checkpoints/last").content == data
