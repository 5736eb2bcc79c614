"""The Oxford flowers, from a small folder in the layout that they are published in."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from scipy.io import savemat

from snncore import datasets, spec
from snncore.datasets import Samples, flowers102
from snncore.errors import DatasetUnavailable

LABELS = [7] * 3 + [2] * 6 + [9] * 6 + [4] * 8 + [7] * 5
"""Of the images 1 to 28: class 4 has 8 of them, as has 7; 2 and 9 have 6."""
SMALL = {"n_classes": 3, "n_train": 9, "n_validation": 3, "n_test": 6, "height": 8, "width": 10}


def flowers(**fields: Any) -> spec.Flowers102:
    dataset: spec.Dataset = TypeAdapter(spec.Dataset).validate_python({"kind": "flowers102"} | fields)
    assert isinstance(dataset, spec.Flowers102)
    return dataset


def publish(folder: Path) -> None:
    """Images of one brightness, eight times their number, with a brighter frame around what is to be cropped."""
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, len(LABELS) + 1):
        image = Image.new("RGB", (26, 24), (255, 255, 255))
        image.paste((8 * number,) * 3, (8, 8, 18, 16))
        image.save(folder / "jpg" / f"image_{number:05}.jpg", quality=100)
    savemat(folder / "imagelabels.mat", {"labels": np.array([LABELS], np.uint8)})
    savemat(folder / "setid.mat", {"trnid": np.array([[1]]), "valid": np.array([[2]]), "tstid": np.array([[3]])})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path / "data"))
    return tmp_path / "cache"


@pytest.fixture(params=[".", "flowers102"])
def published(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "data" / str(request.param)
    publish(folder)
    return folder


def numbers(samples: Samples) -> list[int]:
    """Of the images, by their brightness."""
    assert samples.x.shape[1] == 240
    return [round(float(row.mean()) / 8) for row in samples.x]


def test_the_most_frequent_classes_are_counted_and_the_first_of_their_images_tested_on(published: Path) -> None:
    splits = datasets.load(flowers(**SMALL), seed=0)
    assert numbers(splits.test) == [16, 1, 4, 17, 2, 5]  # classes 4, 7 and 2, in turns
    assert splits.test.y is not None
    assert splits.test.y.tolist() == [0, 1, 2, 0, 1, 2]
    others = [*numbers(splits.train), *numbers(splits.validation)]
    assert sorted(others) == [3, 6, 7, 8, 9, 18, 19, 20, 21, 24, 25, 26]
    assert [LABELS[number - 1] for number in numbers(splits.validation)] == [4, 7, 2]


def test_the_split_seed_chooses_validation_images_and_leaves_the_test_images(published: Path) -> None:
    first, *other = (datasets.load(flowers(**SMALL, split_seed=seed), seed=0) for seed in range(4))
    assert all(numbers(splits.test) == numbers(first.test) for splits in other)
    assert any(numbers(splits.validation) != numbers(first.validation) for splits in other)


def test_the_defaults_are_the_images_of_the_paper() -> None:
    dataset = flowers()
    assert spec.image_shape(dataset) == (400, 500, 3)
    assert spec.n_features(flowers(pooling=5)) == 80 * 100 * 3
    assert spec.split_sizes(dataset) == {"train": 900, "validation": 100, "test": 200}
    assert spec.n_classes(dataset) == 10
    assert sum(spec.split_sizes(dataset).values()) == 10 * 120
    assert not spec.held_in_memory(dataset)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"n_classes": 5, "n_train": 5, "n_validation": 0, "n_test": 5}, r"dataset.n_classes is 5, .* have 4"),
        ({"n_train": 12}, r"n_test ask for 7 images of each class, and class 2 of the flowers has 6"),
        ({"height": 25}, r"image_\d{5}.jpg has 24 x 26 pixels.*dataset.height"),
    ],
)
def test_what_the_flowers_cannot_give_is_told(published: Path, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(DatasetUnavailable, match=problem):
        datasets.load(flowers(**SMALL | fields), seed=0)


def test_labels_and_images_that_are_damaged_are_named(tmp_path: Path) -> None:
    publish(tmp_path / "data")
    (tmp_path / "data" / "jpg" / "image_00016.jpg").unlink()
    with pytest.raises(DatasetUnavailable, match=r"cannot be read: .*image_00016.jpg"):
        datasets.load(flowers(**SMALL), seed=0)
    (tmp_path / "data" / "imagelabels.mat").write_bytes(b"no labels")
    with pytest.raises(DatasetUnavailable, match=r"imagelabels.mat cannot be read"):
        datasets.load(flowers(**SMALL), seed=0)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server on this machine with an archive of such flowers, and of a file that has no place in it."""
    folder = tmp_path / "mirror"
    publish(folder)
    (folder / "jpg" / "start.sh").write_text("something else")
    with tarfile.open(folder / "102flowers.tgz", "w:gz") as archive:
        archive.add(folder / "jpg", "jpg")
        outside = tarfile.TarInfo("../outside.jpg")
        outside.size = 4
        archive.addfile(outside, io.BytesIO(b"evil"))
    for name in flowers102.MD5:
        monkeypatch.setitem(flowers102.MD5, name, md5((folder / name).read_bytes()).hexdigest())
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_flowers_are_downloaded_checked_and_unpacked_without_what_else_is_in_the_archive(
    mirror: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flowers102, "SOURCE", mirror)
    expected = [16, 1, 4, 17, 2, 5]
    assert numbers(datasets.load(flowers(**SMALL), seed=0).test) == expected
    names = sorted(file.name for file in (cache / "flowers102" / "jpg").iterdir())
    assert names == [f"image_{number:05}.jpg" for number in range(1, 29)]
    assert not list(cache.rglob("outside*"))
    monkeypatch.setattr(flowers102, "SOURCE", "http://127.0.0.1:9/")
    assert numbers(datasets.load(flowers(**SMALL), seed=0).test) == expected  # from the cache: nobody answers there


def test_a_download_that_is_not_the_flowers_is_refused(
    mirror: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flowers102, "SOURCE", mirror)
    monkeypatch.setitem(flowers102.MD5, "102flowers.tgz", "0" * 32)
    with pytest.raises(DatasetUnavailable, match=r"could not be downloaded .*name its parent in SPIKESMITH_DATA"):
        datasets.load(flowers(**SMALL), seed=0)
    assert not (cache / "flowers102" / "jpg").exists()
