"""Datasets of image files: what is read, how it is cut and dealt, what is kept in memory, and what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter

from snncore import datasets, spec, train
from snncore.datasets import Samples, Splits
from snncore.datasets.pictures import picture
from snncore.errors import DatasetUnavailable
from snncore.events import Finished
from tests.snncore.jobs import REAL_FLOWERS12, tiny_job, tiny_spec

FOLDER: dict[str, Any] = {
    "kind": "image_folder",
    "folder": "shapes",
    "n_classes": 3,
    "n_train": 6,
    "n_validation": 3,
    "n_test": 3,
    "height": 4,
    "width": 6,
}
CLASSES = ("circle", "ring", "star")


def folder(**fields: Any) -> spec.ImageFolder:
    dataset: spec.Dataset = TypeAdapter(spec.Dataset).validate_python(FOLDER | fields)
    assert isinstance(dataset, spec.ImageFolder)
    return dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Class folders with five images each, all of one value: 50 times the class, and the number of the image."""
    monkeypatch.setenv("SPIKESMITH_DATA", os.pathsep.join(["/nowhere", str(tmp_path / "data")]))
    for number, name in enumerate(CLASSES):
        fill(tmp_path / "data" / "shapes" / name, range(50 * number, 50 * number + 5))
    return tmp_path / "data" / "shapes"


def fill(folder: Path, values: range) -> None:
    folder.mkdir(parents=True)
    for value in values:
        Image.new("L", (6, 4), value).save(folder / f"image_{value}.png")


def values(samples: Samples) -> list[int]:
    """Of images that are of one value each."""
    return [int(row[0]) for row in samples.x]


def all_splits(splits: Splits) -> list[int]:
    return [value for part in (splits.train, splits.validation, splits.test) for value in values(part)]


def test_splits_hold_every_class_equally_often_and_in_turns(shapes: Path) -> None:
    splits = datasets.load(folder(), seed=0)
    for samples, turns in ((splits.train, 2), (splits.validation, 1), (splits.test, 1)):
        assert samples.y is not None
        assert samples.y.tolist() == [0, 1, 2] * turns
        assert [value // 50 for value in values(samples)] == samples.y.tolist()
    assert len(set(all_splits(splits))) == 12


def test_who_is_tested_on_depends_on_the_split_seed_and_not_on_the_other_splits(shapes: Path) -> None:
    first = datasets.load(folder(), seed=0)
    assert all_splits(datasets.load(folder(), seed=1)) == all_splits(first)
    assert values(datasets.load(folder(n_train=3, n_validation=0), seed=0).test) == values(first.test)
    assert any(all_splits(datasets.load(folder(split_seed=s), seed=0)) != all_splits(first) for s in (1, 2, 3))


def test_test_images_of_their_own_folder_stay_out_of_training(shapes: Path) -> None:
    for number, name in enumerate(CLASSES):
        fill(shapes / "train" / name, range(50 * number, 50 * number + 3))
        fill(shapes / "test" / name, range(50 * number + 20, 50 * number + 22))
    splits = datasets.load(folder(n_test=6), seed=0)
    assert all(value % 50 >= 20 for value in values(splits.test))
    assert all(value % 50 < 3 for value in (*values(splits.train), *values(splits.validation)))
    assert len(set(all_splits(splits))) == 15


def test_named_classes_are_numbered_in_the_order_of_their_names_in_the_spec(shapes: Path) -> None:
    splits = datasets.load(folder(n_classes=2, n_validation=2, n_test=2, classes=["star", "circle"]), seed=0)
    assert [value // 50 for value in values(splits.test)] == [2, 0]


def test_features_are_in_the_order_row_column_channel(shapes: Path) -> None:
    image = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    for name in CLASSES:
        for file in (shapes / name).iterdir():
            Image.fromarray(image).save(file)
    dataset = folder()
    samples = datasets.load(dataset, seed=0).train
    assert spec.image_shape(dataset) == (4, 6, 3)
    assert spec.n_features(dataset) == 72
    assert np.array_equal(samples.x[0], np.arange(72))
    assert samples.scale * 255 == 1


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ({"kind": "digits"}, (8, 8, 1)),
        ({"kind": "mnist"}, (28, 28, 1)),
        ({"kind": "mnist", "pooling": 4}, (7, 7, 1)),
        ({"kind": "fashion_mnist", "pooling": 2}, (14, 14, 1)),
        (FOLDER | {"pooling": 2, "channels": 1}, (2, 3, 1)),
        ({"kind": "exponential", "n_features": 9}, None),
        ({"kind": "store_recall", "n_values": 2}, None),
    ],
)
def test_datasets_of_images_tell_their_shape(kind: dict[str, Any], shape: tuple[int, int, int] | None) -> None:
    dataset: spec.Dataset = TypeAdapter(spec.Dataset).validate_python(kind)
    assert spec.image_shape(dataset) == shape
    if shape is not None:
        assert spec.n_features(dataset) == np.prod(shape)


def cut(image: Image.Image, file: Path, **fields: Any) -> NDArray[np.uint8]:
    image.save(file)
    return picture(file, folder(**fields))


def test_a_crop_is_the_centre_and_resizing_keeps_the_proportions(tmp_path: Path) -> None:
    columns = Image.fromarray(np.tile(np.arange(0, 240, 20, dtype=np.uint8), (8, 1)))
    size = {"height": 4, "width": 4, "channels": 1}
    assert cut(columns, tmp_path / "a.png", fit="crop", **size)[0, :, 0].tolist() == [80, 100, 120, 140]
    assert cut(columns, tmp_path / "b.png", fit="resize", **size)[0, :, 0].tolist() == pytest.approx(
        [50, 90, 130, 170], abs=6
    )
    with pytest.raises(DatasetUnavailable, match=r"a.png has 8 x 12 pixels.*9 x 4.*'resize'"):
        picture(tmp_path / "a.png", folder(height=9, width=4, fit="crop"))


def test_pooled_pixels_are_means_of_blocks_rounded_to_bytes(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 10, 7, 7], [20, 31, 7, 8]], np.uint8))
    pooled = cut(image, tmp_path / "a.png", height=2, width=4, channels=1, pooling=2)
    assert pooled.tolist() == [[[15], [7]]]


def test_images_of_every_mode_become_bytes(tmp_path: Path) -> None:
    one = {"height": 1, "width": 1}
    red = Image.new("RGB", (1, 1), (200, 10, 20))
    assert cut(red, tmp_path / "rgb.png", **one).tolist() == [[[200, 10, 20]]]
    assert cut(red.quantize(2), tmp_path / "palette.png", **one).tolist() == [[[200, 10, 20]]]
    assert cut(red, tmp_path / "grey.png", channels=1, **one).tolist() == [[[68]]]  # 0.299 R + 0.587 G + 0.114 B
    assert cut(Image.new("L", (1, 1), 70), tmp_path / "l.png", **one).tolist() == [[[70, 70, 70]]]
    assert cut(Image.new("1", (1, 1), 1), tmp_path / "bit.png", channels=1, **one).tolist() == [[[255]]]
    deep = Image.fromarray(np.array([[0xABCD]], np.uint16))
    assert cut(deep, tmp_path / "deep.png", channels=1, **one).tolist() == [[[0xAB]]]
    clear, half = Image.new("RGBA", (1, 1), (9, 9, 9, 0)), Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert cut(clear, tmp_path / "clear.png", channels=1, **one).tolist() == [[[255]]]
    assert cut(half, tmp_path / "half.png", channels=1, **one).tolist() == [[[127]]]
    with pytest.raises(DatasetUnavailable, match=r"float.tiff cannot be read as an image \(its pixels are of 32 bits"):
        cut(Image.new("F", (1, 1), 0.5), tmp_path / "float.tiff", **one)


def test_images_are_turned_upright(tmp_path: Path) -> None:
    image, exif = Image.fromarray(np.array([[1, 2, 3]], np.uint8)), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "a.png", exif=exif)
    assert picture(tmp_path / "a.png", folder(height=3, width=1, channels=1)).ravel().tolist() == [1, 2, 3]


def test_a_broken_image_is_named(shapes: Path) -> None:
    whole = (shapes / "ring" / "image_52.png").read_bytes()
    for broken in (
        b"",
        b"not an image",
        whole[: len(whole) // 2],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ):
        (shapes / "ring" / "image_52.png").write_bytes(broken)
        with pytest.raises(DatasetUnavailable, match=r"image_52.png cannot be read as an image .*; remove it"):
            datasets.load(folder(n_train=9), seed=0)


def test_images_are_decoded_once_and_anew_when_a_file_has_changed(shapes: Path, cache: Path) -> None:
    first = datasets.load(folder(), seed=0)
    (written,) = (cache / "images").glob("*.npy")
    time = written.stat().st_mtime_ns
    assert all_splits(datasets.load(folder(), seed=0)) == all_splits(first)
    assert written.stat().st_mtime_ns == time
    changed = values(first.train)[0]
    Image.new("L", (8, 8), 49).save(shapes / CLASSES[changed // 50] / f"image_{changed}.png")
    assert values(datasets.load(folder(), seed=0).train)[0] == 49
    assert not list((cache / "images").glob("*.part"))


def test_a_decoding_that_was_broken_off_is_begun_again(shapes: Path, cache: Path) -> None:
    expected = all_splits(datasets.load(folder(), seed=0))
    (written,) = (cache / "images").glob("*.npy")
    written.rename(written.with_suffix(".part"))
    os.truncate(written.with_suffix(".part"), 200)
    assert all_splits(datasets.load(folder(), seed=0)) == expected


DECODE = """
import sys
from snncore import datasets
from snncore.spec import ImageFolder
dataset = ImageFolder.model_validate_json(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
splits = datasets.load(dataset, seed=0)
print([int(row[0]) for part in (splits.train, splits.validation, splits.test) for row in part.x])
"""


def test_processes_that_decode_at_the_same_time_get_the_same_images(shapes: Path, cache: Path) -> None:
    dataset = folder(height=800, width=1200)
    command = [sys.executable, "-c", DECODE, dataset.model_dump_json()]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        found = [json.loads(process.communicate(timeout=60)[0]) for process in (one, other)]
    assert found == [all_splits(datasets.load(dataset, seed=0))] * 2
    assert len(list((cache / "images").glob("*.npy"))) == 1


def test_without_room_for_the_decoded_images_nothing_is_written(
    shapes: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file, where a folder is needed")
    with pytest.raises(DatasetUnavailable, match=r"cannot be kept in .*SPIKESMITH_CACHE"):
        datasets.load(folder(), seed=0)
    cache.unlink()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DatasetUnavailable, match=r"12 decoded images take .* MB.*SPIKESMITH_CACHE"):
        datasets.load(folder(), seed=0)


def test_only_the_batch_that_is_asked_for_is_held_in_memory(shapes: Path) -> None:
    dataset = folder(height=800, width=1000)
    datasets.load(dataset, seed=0)
    tracemalloc.start()
    try:
        train = datasets.load(dataset, seed=0).train
        total = sum(int(train[np.array([place])].x.sum(dtype=np.int64)) for place in range(len(train)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    image = spec.n_features(dataset)
    assert total > 0
    assert image < peak < 1.5 * image


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"folder": "elsewhere"}, r"dataset.folder: there is no folder 'elsewhere' \(searched: /nowhere, .*data\)"),
        ({"n_classes": 2, "n_validation": 2, "n_test": 2}, r"dataset.n_classes is 2, .* has 3 class folders: 'circle'"),
        ({"classes": ["circle", "ring", "cube"]}, r"dataset.classes: .* has no folder 'cube'; it has 'circle', 'ring'"),
        ({"n_train": 12}, r"dataset.n_train ask for 6 images of each class, and .*circle has 5"),
    ],
)
def test_a_folder_that_is_not_what_the_spec_says_is_told_by_the_field(
    shapes: Path, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DatasetUnavailable, match=problem):
        datasets.load(folder(**fields), seed=0)


def test_training_and_test_folders_must_have_the_same_classes(shapes: Path) -> None:
    for part, names in (("train", CLASSES), ("test", ("circle", "ring", "cube"))):
        for name in names:
            fill(shapes / part / name, range(5))
    with pytest.raises(
        DatasetUnavailable, match=r"dataset.classes: .*'star' in train/ and 'circle', 'cube', 'ring' in"
    ):
        datasets.load(folder(), seed=0)


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"folder": "../secrets"}, "dataset.folder"),
        ({"folder": "shapes/.."}, "dataset.folder"),
        ({"folder": "/etc"}, "dataset.folder"),
        ({"folder": ".ssh"}, "dataset.folder"),
        ({"folder": "shapes/"}, "dataset.folder"),
        ({"folder": ""}, "dataset.folder"),
        ({"folder": "a\x00b"}, "dataset.folder"),
        ({"classes": ["a", "b", "../c"]}, "dataset.classes.2"),
        ({"classes": ["a", "b", "c/d"]}, "dataset.classes.2"),
        ({"classes": ["a", "b"]}, "dataset.classes"),
        ({"classes": ["a", "b", "b"]}, "dataset.classes"),
        ({"n_train": 7}, "dataset.n_train"),
        ({"n_validation": 1}, "dataset.n_validation"),
        ({"n_test": 4}, "dataset.n_test"),
        ({"pooling": 3}, "dataset.pooling"),
        ({"fit": "stretch"}, "dataset.fit"),
        ({"channels": 2}, "dataset.channels"),
    ],
)
def test_a_spec_of_images_that_cannot_be_is_refused(fields: dict[str, Any], location: str) -> None:
    with pytest.raises(spec.SpecError) as refused:
        tiny_spec(dataset=FOLDER | fields, training={"batch_size": 3})
    assert {".".join(map(str, problem.loc)) for problem in refused.value.problems} == {location}


def test_images_that_stay_on_disk_are_not_counted_as_memory() -> None:
    few, many = (
        spec.estimate(tiny_spec(dataset=FOLDER | {"n_train": n}, training={"batch_size": 3})) for n in (300, 30_000)
    )
    assert few.peak_memory_bytes == many.peak_memory_bytes
    assert few.steps < many.steps


def test_a_network_is_trained_on_image_files(shapes: Path) -> None:
    job = tiny_job(
        dataset=FOLDER, training={"batch_size": 3, "epochs": 2}, encoding={"kind": "direct", "duration_ms": 10.0}
    )
    *_, last = train(spec.parse_job_spec(job))
    assert isinstance(last, Finished)


@pytest.mark.skipif(
    not REAL_FLOWERS12, reason="NO FLOWERS HERE: name a folder that holds flowers12/ in SPIKESMITH_DATA"
)
def test_photographs_of_flowers_are_read_as_they_are() -> None:
    sizes = {"n_classes": 12, "n_train": 600, "n_validation": 120, "n_test": 240}
    splits = datasets.load(folder(folder="flowers12", **sizes, height=224, width=224, pooling=4), seed=0)
    assert splits.train.x.shape == (600, 56 * 56 * 3)
    for samples, each in ((splits.train, 50), (splits.validation, 10), (splits.test, 20)):
        assert samples.y is not None
        assert np.bincount(samples.y).tolist() == [each] * 12
    rows = {row.tobytes() for samples in (splits.train, splits.validation, splits.test) for row in samples.x}
    assert len(rows) == 959  # a photograph of an iris is there twice
