"""Uploads: what is accepted, what is refused and with which words, and how jobs come to train on them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import func, select

from service.datasets import service
from service.datasets.reception import receive
from service.settings import Settings
from service.store import datasets, jobs
from service.store.attempt import Attempt
from service.store.engine import Database
from service.store.rows import RecordBatch
from service.store.tables import Dataset as Row
from service.store.tables import DatasetChunk, JobDataset
from snncore.spec.data_files import DATA_FILES
from tests.service.conftest import digits_spec, sqlite_only

pytestmark = sqlite_only
NAME = "blobs"
URL = f"/v1/datasets/{NAME}"


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def blobs(n: int = 40, n_features: int = 6, seed: int = 0) -> dict[str, Any]:
    """Two classes that differ in their mean."""
    y = np.arange(n) % 2
    x = np.random.default_rng(seed).random((n, n_features)).astype(np.float32) / 2 + y[:, None] / 2
    return {"x": x.astype(np.float32), "y": y}


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def on_upload(name: str = NAME, **dataset: Any) -> dict[str, Any]:
    """A job on an uploaded dataset."""
    spec = digits_spec()
    spec["training"]["batch_size"] = 7
    return {**spec, "dataset": {"kind": "uploaded", "name": name, **dataset}}


@pytest.fixture
def put(client: TestClient) -> Callable[..., Any]:
    def run(body: bytes | Iterator[bytes] | None = None, name: str = NAME, **headers: str) -> Any:
        content = npz(**blobs()) if body is None else body
        sent = {"Content-Type": "application/x-npz"} | headers
        return client.put(f"/v1/datasets/{name}", content=content, headers=sent)

    return run


def rows(database: Database) -> tuple[int, int]:
    """Datasets and pieces of files that are stored, with or without a name."""
    with database.read() as session:
        return (
            session.scalar(select(func.count()).select_from(Row)) or 0,
            session.scalar(select(func.count()).select_from(DatasetChunk)) or 0,
        )


# --- what comes back ------------------------------------------------------------------------------------------------


def test_an_upload_is_described_and_listed(client: TestClient, put: Callable[..., Any]) -> None:
    body = npz(**blobs(), classes=np.array(["low", "high"]))
    answer = put(body)
    assert (answer.status_code, answer.headers["Location"]) == (201, URL)
    view = answer.json()
    assert (view["name"], view["state"], view["kind"], view["format"]) == (NAME, "uploaded", "uploaded", "arrays")
    assert (view["shape"], view["n_samples"], view["n_classes"]) == ([6], 40, 2)
    assert view["classes"] == [{"name": "low", "n_samples": 20}, {"name": "high", "n_samples": 20}]
    assert view["sizes"] == {"train": 28, "validation": 4, "test": 8}
    assert (view["size_bytes"], view["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert client.get(URL).json() == view
    listed = client.get("/v1/datasets").json()["items"]
    assert listed[-1] == view
    states = {item["name"]: item["state"] for item in listed}
    assert states["digits"] == "available"
    assert states["mnist"] in ("available", "downloadable")


def test_the_list_goes_on_from_page_to_page(client: TestClient, put: Callable[..., Any]) -> None:
    for name in ("a", "b", "c"):
        assert put(npz(**blobs(seed=len(name))), name).status_code == 201
    everything = [item["name"] for item in client.get("/v1/datasets").json()["items"]]
    assert everything[-3:] == ["c", "b", "a"]
    seen, cursor = [], None
    while True:
        page = client.get("/v1/datasets", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["name"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == everything


def test_mnist_is_available_where_its_files_lie(client: TestClient, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    assert client.get("/v1/datasets/mnist").json()["state"] == "downloadable"
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").touch()
        (folder / f"{part}-labels-idx1-ubyte").touch()
    view = client.get("/v1/datasets/mnist").json()
    assert (view["state"], view["sizes"]["test"], view["n_classes"]) == ("available", 10_000, 10)


def test_it_is_known_of_every_kind_which_files_it_needs(client: TestClient) -> None:
    without = {"digits", "exponential", "store_recall", "image_folder"}
    assert {item["name"] for item in client.get("/v1/datasets").json()["items"]} == set(DATA_FILES) | without


@pytest.mark.parametrize(
    ("shape", "kind"), [((7,), np.float64), ((4, 3), np.uint8), ((4, 4, 3), np.float16), ((1,), np.float32)]
)
def test_samples_of_every_shape_and_type(put: Callable[..., Any], shape: tuple[int, ...], kind: Any) -> None:
    x = (np.random.default_rng(1).random((20, *shape)) * 200).astype(kind)
    answer = put(npz(x=np.asfortranarray(x)))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["shape"], answer.json()["n_classes"]) == (list(shape), None)


# --- the same again, other bytes, removal ---------------------------------------------------------------------------


def test_the_same_bytes_again_change_nothing(client: TestClient, put: Callable[..., Any], database: Database) -> None:
    body = npz(**blobs())
    first, again = put(body), put(body)
    assert (again.status_code, again.json()) == (200, first.json())
    assert rows(database) == (1, 1)


def test_other_bytes_take_the_place_of_those_nobody_needs(put: Callable[..., Any], database: Database) -> None:
    put()
    answer = put(npz(**blobs(seed=1)))
    assert answer.status_code == 200
    assert answer.json()["sha256"] == hashlib.sha256(npz(**blobs(seed=1))).hexdigest()
    assert rows(database) == (1, 1)


def test_what_a_job_needs_stays_until_it_has_ended(
    client: TestClient, put: Callable[..., Any], start: Callable[..., Attempt]
) -> None:
    put()
    job = client.post("/v1/jobs", json=on_upload()).json()
    attempt = start(job["id"])
    for answer in (client.delete(URL), put(npz(**blobs(seed=1)))):
        assert answer.status_code == 409
        assert answer.json()["code"] == "dataset_in_use"
        assert job["id"] in answer.json()["detail"]
        assert "another name" in answer.json()["detail"]
    attempt.succeed(RecordBatch(), {})
    assert client.delete(URL).status_code == 204
    assert client.get(URL).status_code == 404


def test_bytes_that_another_name_has_too_may_go(client: TestClient, put: Callable[..., Any]) -> None:
    put()
    put(name="copy")
    client.post("/v1/jobs", json=on_upload())
    assert client.delete(URL).status_code == 204
    assert client.delete("/v1/datasets/copy").status_code == 409


def test_a_stopped_job_goes_on_once_its_dataset_is_back(client: TestClient, put: Callable[..., Any]) -> None:
    put()
    job = client.post("/v1/jobs", json=on_upload()).json()["links"]["self"]
    client.post(f"{job}/cancel")
    client.delete(URL)
    answer = client.post(f"{job}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_gone")
    assert "upload the same file again" in answer.json()["detail"]
    put(name="back")
    assert client.post(f"{job}/resume").status_code == 202


@pytest.mark.parametrize("method", ["get", "delete"])
def test_what_was_never_uploaded_is_not_there(client: TestClient, method: str) -> None:
    answer = client.request(method, "/v1/datasets/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")


def test_what_is_built_in_keeps_its_name(client: TestClient, put: Callable[..., Any]) -> None:
    assert put(name="mnist").json()["code"] == "name_taken"
    assert client.delete("/v1/datasets/digits").json()["code"] == "built_in"


def test_who_may_only_read_uploads_nothing(
    client: TestClient, put: Callable[..., Any], settings: Settings, database: Database
) -> None:
    from service.store.api_keys import create_key

    settings.auth = "on"
    with database.write() as session:
        _, reader = create_key(session, "reader", ["read"])
    assert put().status_code == 401
    assert put(Authorization=f"Bearer {reader}").status_code == 403
    assert client.get("/v1/datasets", headers={"Authorization": f"Bearer {reader}"}).status_code == 200


# --- what is refused ------------------------------------------------------------------------------------------------

X = blobs()["x"]
Y = blobs()["y"]
BROKEN_X = X.copy()
BROKEN_X[3, 4] = np.nan


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        (b"", None, "no zip file"),
        (b"x,y\n1,2\n", None, "no zip file"),
        (b"PK\3\4 and then nothing", None, "cannot be read as a zip file"),
        (npz(**blobs())[:-30], None, "cannot be read as a zip file"),
        (zipped(), None, "is empty"),
        (npz(y=Y), "x", "is missing"),
        (npz(x=X, y=Y, z=Y), "z", "is not an array of a dataset; there may be x, y"),
        (npz(x=X[0]), "x", "samples are [n, features]"),
        (npz(x=X[:, None, None, None]), "x", "samples are [n, features]"),
        (npz(x=X.reshape(40, 1, 1, 6)), "x", "1 to 4 channels"),
        (npz(x=X[:, :0]), "x", "each side of a sample must be 1 to 65536 long"),
        (npz(x=X[:0], y=Y[:0]), "x", "holds no samples"),
        (npz(x=X[:1], y=Y[:1]), "x", "at least 2 are needed"),
        (npz(x=X.astype(np.int64), y=Y), "x", "take float32, or uint8"),
        (npz(x=BROKEN_X, y=Y), "x", "holds nan at [3, 4]"),
        (npz(x=np.full((3, 2), 1e300)), "x", "holds 1e+300 at [0, 0]"),
        (npz(x=X, y=Y[:-1]), "y", "a class for each of the 40 samples of x is [40]"),
        (npz(x=X, y=Y.astype(np.float32)), "y", "classes are integers"),
        (npz(x=X, y=Y - 1), "y", "holds -1 at [0]"),
        (npz(x=X, y=Y + 70_000), "y", "holds 70000 at [0]"),
        (npz(x=X, y=2 * Y), "y", "no sample is of class 1; number the classes from 0 without gaps"),
        (npz(x=X, y=0 * Y), "y", "two classes at least"),
        (npz(x=X, y=Y + 1, classes=np.array(["a", "b"])), "y", "classes has 2 names"),
        (npz(x=X, y=Y, classes=np.array(["a", "a"])), "classes", "holds 'a' twice"),
        (npz(x=X, y=Y, classes=np.array([1, 2])), "classes", "strings, [K]"),
        (npz(x=X, y=Y, x_test=X), "y_test", "has to be there if y is"),
        (npz(x=X, y=Y, y_test=Y), "x_test", "is missing"),
        (npz(x=X, y=Y, x_test=X[:, :3], y_test=Y), "x_test", "must be like those of x"),
        (npz(x=np.array([{}, {}], dtype=object)), "x", "Python objects (a pickle), which is never read"),
        (zipped(**{"x.npy": npy(X)[:-4]}), "x", "bytes instead of"),
        (zipped(**{"x.npy": b"no array"}), "x", "cannot be unpacked"),
        (zipped(**{"../x.npy": npy(X)}), "../x.npy", "leads out of the archive"),
        (zipped(**{"/x.npy": npy(X)}), "/x.npy", "leads out of the archive"),
        (zipped(**{"C:\\x.npy": npy(X)}), None, "leads out of the archive"),
        (zipped(**{"notes.txt": b"hello"}), "notes.txt", "lies at no place for an image"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    put: Callable[..., Any], database: Database, body: bytes, where: str | None, said: str
) -> None:
    answer = put(body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_dataset"), answer.text
    assert said in problem["errors"][0]["msg"]
    assert problem["errors"][0]["msg"] in problem["detail"]
    if where is not None:
        assert problem["errors"][0]["loc"] == ["body", where]
    assert rows(database) == (0, 0)


def test_several_faults_are_told_at_once(put: Callable[..., Any]) -> None:
    problem = put(npz(x=X.astype(np.int32), y=Y, extra=Y, x_test=X[0])).json()
    assert {error["loc"][1] for error in problem["errors"]} == {"x", "extra", "x_test", "y_test"}


def png(height: int = 4, width: int = 5, mode: str = "RGB", form: str = "PNG", value: int = 9) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), value if mode == "L" else (value, 0, 0)).save(file, form)
    return file.getvalue()


def test_images_of_one_size_are_described(client: TestClient, put: Callable[..., Any]) -> None:
    body = zipped(
        **{f"pets/{name}/{number}.png": png() for name in ("cats", "dogs") for number in range(10)},
        **{"pets/cats/.DS_Store": b"", "__MACOSX/pets/cats/x.png": b""},
    )
    view = put(body, **{"Content-Type": "application/zip"}).json()
    assert (view["format"], view["shape"], view["n_samples"]) == ("images", [4, 5, 3], 20)
    assert [one["name"] for one in view["classes"]] == ["cats", "dogs"]
    answer = client.post("/v1/jobs/validate", json=on_upload())
    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["dataset"]["contents"]["smallest"] == [4, 5]


def test_images_of_many_sizes_need_a_cut(client: TestClient, put: Callable[..., Any]) -> None:
    files = {f"{part}/{name}/1.jpg": png(form="JPEG", mode="L") for part in ("train", "test") for name in "ab"}
    files |= {f"train/{name}/{number}.jpg": png(7, 9, "L", "JPEG") for name in "ab" for number in range(2, 9)}
    view = put(zipped(**files)).json()
    assert (view["shape"], view["n_samples"], view["sizes"]["test"]) == (None, 18, 2)
    problem = client.post("/v1/jobs/validate", json=on_upload()).json()["errors"][0]
    assert problem["loc"] == ["dataset", "images"]
    assert "4 x 5 to 7 x 9 pixels" in problem["msg"]
    for images, field in (
        ({"height": 6, "width": 4, "fit": "crop"}, "fit"),
        ({"height": 6, "width": 6, "pooling": 4}, "pooling"),
    ):
        problem = client.post("/v1/jobs/validate", json=on_upload(images=images)).json()["errors"][0]
        assert problem["loc"] == ["dataset", "images", field]
    fitting = on_upload(images={"height": 6, "width": 6, "pooling": 2, "channels": 1})
    assert client.post("/v1/jobs/validate", json=fitting).status_code == 200


def test_a_cut_is_for_images(client: TestClient, put: Callable[..., Any]) -> None:
    put()
    problem = client.post("/v1/jobs/validate", json=on_upload(images={"height": 6, "width": 6})).json()
    assert problem["errors"][0]["loc"] == ["dataset", "images"]


@pytest.mark.parametrize(
    ("files", "where", "said"),
    [
        ({"a/1.png": png(), "a/2.png": png()}, None, "has folders of 1 classes, and needs 2"),
        ({"a/1.png": png(), "b/1.png": png()[:-20]}, "b/1.png", "cannot be read as an image"),
        ({"a/1.png": png(), "b/1.png": b"GIF"}, "b/1.png", "cannot be read as an image"),
        ({"a/1.png": png(), "b/1.txt": b"text"}, "b/1.txt", "is no image by its name"),
        ({"a/1.png": png(), "b/1.png": png(), "1.png": png()}, "1.png", "lies at no place for an image"),
        ({"train/a/1.png": png(), "train/b/1.png": png(), "test/c/1.png": png()}, "train/c", "holds no image"),
    ],
)
def test_what_is_wrong_with_images_is_said(
    put: Callable[..., Any], database: Database, files: dict[str, bytes], where: str | None, said: str
) -> None:
    answer = put(zipped(**files))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert said in error["msg"]
    assert error["loc"] == ["body", where] if where else ["body"]
    assert rows(database) == (0, 0)


def test_all_broken_images_are_named(put: Callable[..., Any]) -> None:
    problem = put(zipped(**{f"{name}/{n}.png": b"none" for name in "ab" for n in range(30)})).json()
    assert len(problem["errors"]) == 20


def events() -> dict[str, Any]:
    """Three samples, of which the second has no events."""
    return {
        "times_ms": np.array([0.0, 3.5, 2.0, 7.5], np.float32),
        "addresses": np.array([0, 4, 2, 4]),
        "starts": np.array([0, 2, 2, 4]),
        "y": np.array([0, 1, 1]),
        "n_addresses": 5,
    }


def test_events_are_described(client: TestClient, put: Callable[..., Any]) -> None:
    view = put(npz(**events())).json()
    assert (view["format"], view["shape"], view["n_samples"], view["n_classes"]) == ("events", [5], 3, 2)
    problem = client.post("/v1/jobs/validate", json=on_upload()).json()["errors"][0]
    assert problem["loc"] == ["encoding", "kind"]
    assert "take the encoding 'events'" in problem["msg"]


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"y": None}, "y", "is missing"),
        ({"z": 1}, "z", "is not an array of events"),
        ({"times_ms": np.array([0.0, -1.0, 2.0, 3.0])}, "times_ms", "holds -1.0 at [1]"),
        ({"times_ms": np.array([0.0, np.inf, 2.0, 3.0])}, "times_ms", "holds inf at [1]"),
        ({"times_ms": np.arange(4)}, "times_ms", "has to be floats [E]"),
        ({"addresses": np.array([0, 5, 1, 1])}, "addresses", "holds 5 at [1]; addresses are 0 to 4"),
        ({"addresses": np.array([0, 5])}, "addresses", "an address for each time is [4]"),
        ({"starts": np.array([1, 2, 2, 4])}, "starts", "begins with 1"),
        ({"starts": np.array([0, 3, 2, 4])}, "starts", "goes back at [2]"),
        ({"starts": np.array([0, 2, 2, 3])}, "starts", "ends with 3"),
        ({"starts": np.array([0, 4]), "y": np.array([0])}, "starts", "for 2 samples at least"),
        ({"y": np.array([0, 1])}, "y", "a class for each of the 3 samples"),
        ({"n_addresses": 0}, "n_addresses", "has to be 1 to 65536"),
    ],
)
def test_what_is_wrong_with_events_is_said(
    put: Callable[..., Any], change: dict[str, Any], where: str, said: str
) -> None:
    arrays = {name: array for name, array in (events() | change).items() if array is not None}
    error = put(npz(**arrays)).json()["errors"][0]
    assert error["loc"] == ["body", where]
    assert said in error["msg"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(put: Callable[..., Any]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", npy(X))
        archive.writestr("x.npy", npy(X))
    assert "is there twice" in put(file.getvalue()).json()["detail"]


def test_a_link_is_refused(put: Callable[..., Any]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("x.npy")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in put(file.getvalue()).json()["detail"]


def test_a_damaged_array_is_noticed_by_its_checksum(put: Callable[..., Any]) -> None:
    body = bytearray(zipped(**{"x.npy": npy(X)}))
    at = body.index(X.tobytes()) + 5
    body[at] ^= 1
    problem = put(bytes(body)).json()
    assert problem["errors"][0]["loc"] == ["body", "x"]
    assert "is the file damaged?" in problem["detail"]


def test_a_bomb_is_refused_before_it_is_unpacked(put: Callable[..., Any], settings: Settings) -> None:
    settings.max_dataset_bytes = 10_000
    problem = put(npz(x=np.zeros((1000, 100), np.float32))).json()
    assert "more than the limit max_dataset_bytes = 10000" in problem["detail"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_over_the_limit_is_refused(put: Callable[..., Any], settings: Settings, announced: bool) -> None:
    settings.max_upload_bytes = 5_000
    body = b"PK" + b"x" * 10_000
    answer = put(body if announced else iter([body[:4_000], body[4_000:]]))
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert "max_upload_bytes = 5000" in answer.json()["detail"]


def test_other_calls_keep_their_own_limit(client: TestClient) -> None:
    answer = client.post("/v1/jobs", content=b" " * (5 * 2**20), headers={"Content-Type": "application/json"})
    assert answer.json()["code"] == "body_too_large"


def test_a_body_of_another_type_is_refused(put: Callable[..., Any]) -> None:
    answer = put(**{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/x-npz" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["-x", ".x", "a b", "x" * 64, "ä"])
def test_names_are_plain(put: Callable[..., Any], name: str) -> None:
    answer = put(name=name)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["path", "dataset"])


def test_a_large_upload_is_never_in_memory_as_a_whole(database: Database, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "large.npz"
    np.savez(file, x=np.random.default_rng(0).random((8_000, 1_000), np.float32))
    size = file.stat().st_size
    assert size > 30_000_000 > settings.max_body_bytes

    async def upload() -> None:
        with file.open("rb") as sent:

            async def receive_piece() -> dict[str, Any]:
                piece = sent.read(2**16)
                return {"type": "http.request", "body": piece, "more_body": bool(piece)}

            async for received in receive(Request({"type": "http", "headers": []}, receive_piece), settings):
                view, outcome = service.put(database, settings, NAME, received)
                assert (view.size_bytes, outcome) == (size, "created")

    tracemalloc.start()
    try:
        asyncio.run(upload())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows(database) == (1, -(-size // 2**20))
    assert peak < 24_000_000
    assert b"".join(datasets.read_file(database, sha256_of(file))) == file.read_bytes()


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- jobs -----------------------------------------------------------------------------------------------------------


def test_a_job_carries_what_was_uploaded(client: TestClient, put: Callable[..., Any], database: Database) -> None:
    view = put().json()
    answer = client.post("/v1/jobs", json=on_upload())
    assert answer.status_code == 201, answer.text
    dataset = answer.json()["spec"]["dataset"]
    assert dataset["contents"] == {
        "format": "arrays",
        "sha256": view["sha256"],
        "n_samples": 40,
        "n_test": 0,
        "shape": [6],
        "values": "float",
        "low": pytest.approx(float(X.min())),
        "high": pytest.approx(float(X.max())),
        "n_classes": 2,
    }
    with database.read() as session:
        assert session.get_one(JobDataset, answer.json()["id"]).sha256 == view["sha256"]
    again = client.post("/v1/jobs", json=answer.json()["spec"])
    assert again.status_code == 201, "the resolved spec is accepted as it is"


def test_a_preset_can_be_trained_on_an_upload(client: TestClient, put: Callable[..., Any]) -> None:
    put()
    overrides = {"dataset": {"kind": "uploaded", "name": NAME}, "training": {"batch_size": 7}}
    body = {"preset": "digits/lsnn", "overrides": overrides}
    assert client.post("/v1/jobs", json=body).json()["spec"]["dataset"]["contents"]["n_samples"] == 40


def test_a_sweep_goes_over_uploads(client: TestClient, put: Callable[..., Any], database: Database) -> None:
    shas = [put(npz(**blobs(seed=seed)), f"blobs{seed}").json()["sha256"] for seed in (0, 1)]
    body = {"spec": on_upload("blobs0"), "grid": {"dataset.name": ["blobs0", "blobs1"]}, "seeds": [0]}
    answer = client.post("/v1/sweeps", json=body)
    assert answer.status_code == 201, answer.text
    with database.read() as session:
        found = [jobs.get(session, one["id"]).spec["dataset"]["contents"]["sha256"] for one in answer.json()["jobs"]]
        assert session.scalar(select(func.count()).select_from(JobDataset)) == 2
    assert found == shas
    body["grid"] = {"dataset.name": ["blobs0", "none"]}
    problem = client.post("/v1/sweeps", json=body).json()
    assert [error["loc"] for error in problem["errors"]] == [["grid", "dataset.name", 1]]
    assert "there are blobs0, blobs1" in problem["detail"]


@pytest.mark.parametrize(
    ("dataset", "loc", "said"),
    [
        ({"name": "none"}, ["dataset", "name"], "no dataset 'none' has been uploaded; there are blobs"),
        ({"name": 3}, ["dataset", "name"], "string"),
        ({"contents": {"format": "arrays"}}, ["dataset", "contents"], "leave it out, the service fills it in"),
        ({"test_fraction": 0.99}, ["dataset", "test_fraction"], "empty split"),
        ({"n_train": 29}, ["dataset", "n_train"], "only 28 samples are left"),
        ({"shape": [3]}, ["dataset", "shape"], "not a field"),
    ],
)
def test_a_job_that_cannot_train_on_it_is_refused(
    client: TestClient, put: Callable[..., Any], dataset: dict[str, Any], loc: list[str], said: str
) -> None:
    put()
    answer = client.post("/v1/jobs/validate", json=on_upload(**{"name": NAME, **dataset}))
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["loc"] == loc
    assert said in error["msg"]


def test_an_uploaded_test_set_is_the_test_set(client: TestClient, put: Callable[..., Any]) -> None:
    test = {f"{name}_test": array[:10] for name, array in blobs(seed=2).items()}
    assert put(npz(**blobs(), **test)).json()["sizes"] == {"train": 36, "validation": 4, "test": 10}
    answer = client.post("/v1/jobs/validate", json=on_upload(test_fraction=0.5))
    assert "was uploaded with a test set of 10 samples" in answer.json()["errors"][0]["msg"]


def test_samples_without_classes_make_no_classification(client: TestClient, put: Callable[..., Any]) -> None:
    put(npz(x=X))
    answer = client.post("/v1/jobs/validate", json=on_upload())
    assert answer.json()["errors"][0]["loc"] == ["task", "kind"]


def test_numbers_that_no_rate_can_show_are_warned_about(client: TestClient, put: Callable[..., Any]) -> None:
    put(npz(x=X - 3, y=Y))
    warnings = client.post("/v1/jobs/validate", json=on_upload()).json()["warnings"]
    assert any("dataset" in warning and "below 0" in warning for warning in warnings)
