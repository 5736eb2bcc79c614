"""Uploaded files as samples: in which order, from which files, and that networks train on them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snncore import spec, train
from snncore.datasets import EventSamples, Samples, Splits, load
from snncore.datasets.class_folders import class_folders
from snncore.datasets.uploaded import place_of
from snncore.errors import DatasetUnavailable
from snncore.events import Finished
from tests.snncore.jobs import tiny_spec

N = 200


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "uploads"


def put(content: bytes, contents: dict[str, Any]) -> dict[str, Any]:
    """Do as the worker does. The `dataset` of a spec."""
    sha256 = hashlib.sha256(content).hexdigest()
    place_of(sha256).parent.mkdir(parents=True, exist_ok=True)
    place_of(sha256).write_bytes(content)
    return {"kind": "uploaded", "name": "data", "contents": {"sha256": sha256, **contents}}


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def arrays(x: Any, y: Any, values: str = "float", **test: Any) -> dict[str, Any]:
    contents: dict[str, Any] = {
        "format": "arrays",
        "shape": list(x.shape[1:]),
        "values": values,
        "low": 0.0,
        "high": 1.0,
    }
    n_test = len(test["x_test"]) if test else 0
    contents |= {"n_samples": len(x) + n_test, "n_test": n_test, "n_classes": None if y is None else int(y.max()) + 1}
    return put(npz(x=x, **({} if y is None else {"y": y}), **test), contents)


def numbered() -> tuple[Any, Any]:
    """Samples that carry their own number, and classes of unequal size."""
    x = np.repeat(np.arange(N, dtype=np.float64), 6).reshape(N, 2, 3) / N
    return x, (np.arange(N) % 10 > 6).astype(np.uint8)


def loaded(dataset: dict[str, Any]) -> Splits:
    return load(spec.Uploaded.model_validate(dataset), seed=0)


def numbers(samples: Any) -> list[int]:
    return [round(number * N) for number in samples.x[:, 0].tolist()]


@pytest.mark.parametrize("order", ["C", "F"])
def test_every_sample_is_dealt_once_with_its_class(order: Any) -> None:
    x, y = numbered()
    splits = loaded(arrays(np.asarray(x, order=order), y))
    parts = [splits.train, splits.validation, splits.test]
    assert [len(part) for part in parts] == [140, 20, 40]
    assert sorted(number for part in parts for number in numbers(part)) == list(range(N))
    for part in parts:
        assert isinstance(part, Samples)
        assert part.x.dtype == np.float32
        assert part.x.shape[1] == 6
        assert part.y is not None
        assert part.y.tolist() == [int(number % 10 > 6) for number in numbers(part)]
        assert part.y.mean() == pytest.approx(0.3, abs=0.05), "each split has the classes in proportion"


def test_the_seed_of_the_split_decides_alone_and_n_train_takes_fewer() -> None:
    dataset = arrays(*numbered())
    first, again = loaded(dataset), loaded({**dataset, "n_train": 50, "validation_fraction": 0.3})
    assert numbers(first.test) == numbers(again.test)
    assert (len(again.train), len(again.validation)) == (50, 60)
    other = loaded({**dataset, "split_seed": 1})
    assert numbers(first.test) != numbers(other.test)


def test_an_uploaded_test_set_is_kept_apart() -> None:
    x, y = numbered()
    splits = loaded(arrays(x[:150], y[:150], x_test=x[150:], y_test=y[150:]))
    assert numbers(splits.test) == list(range(150, N))
    assert sorted(numbers(splits.train) + numbers(splits.validation)) == list(range(150))


def test_bytes_stay_bytes_and_are_scaled() -> None:
    x = np.arange(400, dtype=np.uint8).reshape(100, 2, 2)
    samples = loaded(arrays(x, np.arange(100) % 2, "uint8")).train
    assert isinstance(samples, Samples)
    assert (samples.x.dtype, samples.scale) == (np.uint8, 1 / 255)
    assert isinstance(samples.x, np.memmap)


def test_the_file_is_unpacked_once_and_nothing_else_is_left(cache: Path) -> None:
    dataset = arrays(*numbered())
    loaded(dataset)
    (ordered,) = cache.glob("*.npy")
    written = ordered.stat().st_mtime_ns
    loaded(dataset)
    assert ordered.stat().st_mtime_ns == written
    assert {path.suffix for path in cache.iterdir()} == {"", ".npy", ".lock"}


def test_a_file_that_is_not_there_or_broken_is_named() -> None:
    dataset = arrays(*numbered())
    file = place_of(dataset["contents"]["sha256"])
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DatasetUnavailable, match="cannot be read"):
        loaded(dataset)
    file.unlink()
    with pytest.raises(DatasetUnavailable, match="run the job by the service"):
        loaded(dataset)


def images() -> dict[str, Any]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for part, n in (("train", 20), ("test", 5)):
            for value, name in ((200, "bright"), (20, "dark")):
                for number in range(n):
                    picture = io.BytesIO()
                    Image.new("L", (6, 5), value + number).save(picture, "PNG")
                    archive.writestr(f"all/{part}/{name}/{number}.png", picture.getvalue())
    size = {"smallest": [5, 6], "largest": [5, 6], "channels": 1}
    return put(file.getvalue(), {"format": "images", "n_samples": 50, "n_test": 10, "n_classes": 2, **size})


def test_images_come_with_the_classes_of_their_folders() -> None:
    dataset = images()
    splits = loaded(dataset)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (36, 4, 10)
    for part in (splits.train, splits.validation, splits.test):
        assert isinstance(part, Samples)
        assert part.y is not None
        assert part.x.shape[1] == 30
        assert (part.x[:, 0] < 100).tolist() == (part.y == 1).tolist(), "classes are sorted by name: bright, dark"
    cut = loaded({**dataset, "images": {"height": 4, "width": 4, "channels": 3, "pooling": 2}})
    assert isinstance(cut.train, Samples)
    assert cut.train.x.shape == (36, 12)


def test_folders_around_all_files_and_litter_are_passed_over() -> None:
    names = ["a/b/cats/1.png", "a/b/dogs/2.png", "a/.DS_Store", "__MACOSX/a/b/cats/1.png"]
    found = class_folders(names)
    assert (found.classes, found.misplaced) == (["cats", "dogs"], [])
    assert found.train == [("a/b/cats/1.png", 0), ("a/b/dogs/2.png", 1)]
    assert class_folders(["cats/1.png", "dogs/2.png", "3.png"]).misplaced == ["3.png"]


def recordings() -> dict[str, Any]:
    """Events of the lower addresses in the one class, of the upper in the other."""
    draw = np.random.default_rng(0)
    y = np.arange(N) % 2
    times = np.sort(draw.random((N, 30)) * 20, axis=1)
    addresses = draw.integers(5, size=(N, 30)) + 5 * y[:, None]
    content = npz(
        times_ms=times.ravel(),
        addresses=addresses.ravel(),
        starts=np.arange(N + 1) * 30,
        y=y,
        n_addresses=10,
    )
    contents = {"format": "events", "n_samples": N, "n_addresses": 10, "duration_ms": 20.0, "n_classes": 2}
    return put(content, contents)


def test_events_go_with_their_samples() -> None:
    splits = loaded(recordings())
    assert isinstance(splits.train, EventSamples)
    for sample in range(len(splits.train)):
        times_ms, addresses = splits.train.events(sample)
        assert len(times_ms) == 30
        assert set((addresses >= 5).tolist()) == {bool(splits.train.y[sample])}


@pytest.mark.parametrize(
    ("make", "encoding"),
    [
        (lambda: arrays(*numbered()), {}),
        (images, {}),
        (recordings, {"kind": "events", "duration_ms": 20.0}),
    ],
    ids=["arrays", "images", "events"],
)
def test_a_network_trains_on_it(make: Any, encoding: dict[str, Any]) -> None:
    job = tiny_spec(
        dataset=make(),
        encoding=encoding,
        training={"epochs": 8, "batch_size": 10, "optimiser": {"kind": "adam", "learning_rate": 0.02}},
    )
    last = list(train(job))[-1]
    assert isinstance(last, Finished)
    assert last.result["metrics"]["test"]["accuracy"] >= 0.7
