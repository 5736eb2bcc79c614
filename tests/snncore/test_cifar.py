"""CIFAR, from files in the layout that it is published in, and what is done to images before they are shown."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from snncore import datasets, spec, train
from snncore.datasets import Samples, Splits, cifar
from snncore.datasets.augmentation import augmented
from snncore.errors import DatasetUnavailable
from snncore.events import Checkpoint, Event, Finished, Metric, Progress
from snncore.spec import SpecError, estimate, parse_job_spec, warnings_about
from snncore.streams import stream
from snncore.training.batches import prepare
from tests.snncore.cifar_files import SMALL, SMALL_100, write
from tests.snncore.jobs import tiny_job, tiny_spec

DRAW = np.random.default_rng(0)
NUMBERS = (0, 1, 9, 10, 48, 49, 50, 59)
"""Images that are not black: first and last of files and splits."""
IMAGES: dict[int, NDArray[np.uint8]] = {i: DRAW.integers(0, 256, (32, 32, 3), np.uint8) for i in NUMBERS}
LABELS = {number: bytes([i]) for i, number in enumerate(NUMBERS)}
MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images a file, as if that were what is published."""
    write(tmp_path / "data", SMALL, IMAGES, LABELS)
    write(tmp_path / "data", SMALL_100, {50: IMAGES[0]}, {0: bytes([19, 99]), 50: bytes([3, 42])})
    monkeypatch.setattr(cifar, "CIFAR10", SMALL)
    monkeypatch.setattr(cifar, "CIFAR100", SMALL_100)
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))


def loaded(kind: str = "cifar10", **fields: Any) -> Splits:
    dataset: spec.Dataset = TypeAdapter(spec.Dataset).validate_python({"kind": kind} | fields)
    return datasets.load(dataset, seed=0)


def classes(samples: Any) -> list[int]:
    assert isinstance(samples, Samples)
    assert samples.y is not None
    found: list[int] = samples.y.tolist()
    return found


def test_the_planes_of_the_records_become_pixels_in_the_order_row_column_channel() -> None:
    splits = loaded(n_train=11, n_validation=2, n_test=10)
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [11, 2, 10]
    for split, places in (
        (splits.train, {0: 0, 1: 1, 9: 9, 10: 10}),
        (splits.validation, {0: 48, 1: 49}),
        (splits.test, {0: 50, 9: 59}),
    ):
        assert isinstance(split, Samples)
        for place, number in places.items():
            assert np.array_equal(split.x[place].reshape(32, 32, 3), IMAGES[number])
            assert classes(split)[place] == LABELS[number][0]
    assert isinstance(splits.train, Samples)
    assert isinstance(splits.train.x, np.memmap)
    assert splits.train.scale * 255 == 1
    assert not splits.train.x[2].any()


def test_cifar_100_has_classes_and_superclasses() -> None:
    fine, coarse = loaded("cifar100"), loaded("cifar100", labels="coarse")
    assert (classes(fine.train)[0], classes(coarse.train)[0]) == (99, 19)
    assert (classes(fine.test)[0], classes(coarse.test)[0]) == (42, 3)
    assert isinstance(fine.test, Samples)
    assert np.array_equal(fine.test.x[0].reshape(32, 32, 3), IMAGES[0])
    job = tiny_spec(dataset={"kind": "cifar100", "labels": "coarse"})
    assert job.n_outputs == 20


def test_a_file_of_another_size_and_a_label_out_of_range_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path))
    write(tmp_path, cifar.CIFAR10, {}, {20_003: bytes([10])})
    wrong = r"data_batch_3\.bin is not CIFAR-10's: image 3 is of class 10, and the classes \(fine\) are 0 to 9"
    with pytest.raises(DatasetUnavailable, match=wrong):
        loaded()
    with (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").open("ab") as file:
        file.write(b"1")
    with pytest.raises(DatasetUnavailable, match=r"test_batch\.bin .* 30730001 bytes, and 10000 images of 3073"):
        loaded()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cifar.Published]:
    """A web server on this machine with a tiny archive in the place of CIFAR-10's."""
    small = replace(cifar.CIFAR10, files={"data_batch_1.bin": 2, "test_batch.bin": 1})
    write(tmp_path / "mirror", small, {0: IMAGES[0]}, {})
    with tarfile.open(tmp_path / "mirror" / small.archive, "w:gz") as packed:
        packed.add(tmp_path / "mirror" / small.folder, small.folder)
        packed.addfile(member := tarfile.TarInfo("../elsewhere"), io.BytesIO(bytes(member.size)))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "mirror"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(cifar, "SOURCE", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SPIKESMITH_DATA", "")
    known = sha256((tmp_path / "mirror" / small.archive).read_bytes()).hexdigest()
    yield replace(small, sha256=known)
    server.shutdown()
    server.server_close()


def test_the_archive_is_downloaded_once_checked_and_unpacked(
    mirror: cifar.Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetUnavailable, match=r"could not be downloaded .*Unpack cifar-10-binary.tar.gz"):
        cifar.download(replace(mirror, sha256="0" * 64))
    monkeypatch.setattr(cifar, "CIFAR10", mirror)
    for _ in range(2):
        splits = loaded(n_train=1, n_validation=1, n_test=1)
        assert isinstance(splits.train, Samples)
        assert np.array_equal(splits.train.x[0].reshape(32, 32, 3), IMAGES[0])
        assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [1, 1, 1]
        monkeypatch.setattr(cifar, "SOURCE", "http://127.0.0.1:9/")  # from the cache: nobody answers there
    held = {path.name for path in (tmp_path / "cache" / mirror.folder).iterdir()}
    assert held == set(mirror.files)
    assert not (tmp_path / "cache" / mirror.archive).exists()


def on_cifar(**dataset: Any) -> dict[str, Any]:
    sizes = {"n_train": 40, "n_validation": 8, "n_test": 8}
    return tiny_job(
        dataset={"kind": "cifar10"} | sizes | dataset,
        encoding={"kind": "direct", "duration_ms": 4.0},
        training={"batch_size": 16, "epochs": 2},
    )


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"n_train": 49_999, "n_validation": 2}, "dataset.n_validation"),
        ({"augmentation": {}}, "dataset.augmentation"),
        ({"augmentation": {"crop_padding": 32}}, "dataset.augmentation.crop_padding"),
        ({"augmentation": {"crop_padding": -1}}, "dataset.augmentation.crop_padding"),
        ({"standardise": {"mean": [0.5], "std": [0.2, 0.2, 0.2]}}, "dataset.standardise.mean"),
        ({"standardise": {"mean": MEAN, "std": [0.2, 0.2]}}, "dataset.standardise.std"),
        ({"standardise": {"mean": MEAN, "std": [0.2, 0.0, 0.2]}}, "dataset.standardise.std.1"),
        ({"standardise": {"mean": MEAN}}, "dataset.standardise.std"),
    ],
)
def test_what_does_not_go_with_the_images_is_named(fields: dict[str, Any], location: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_job_spec(on_cifar(**fields))
    assert {".".join(map(str, problem.loc)) for problem in caught.value.problems} == {location}


def test_the_spec_knows_images_classes_and_memory() -> None:
    job = parse_job_spec(on_cifar())
    assert spec.image_shape(job.dataset) == (32, 32, 3)
    assert job.n_outputs == 10
    whole = parse_job_spec(on_cifar(n_train=45_000, n_validation=5_000, n_test=10_000))
    assert estimate(whole).peak_memory_bytes == estimate(job).peak_memory_bytes  # mapped, not held
    standardised = {"mean": MEAN, "std": STD}
    dark = parse_job_spec(on_cifar(standardise=standardised) | {"encoding": {"kind": "poisson", "duration_ms": 4.0}})
    assert any("'poisson' makes no spikes" in warning for warning in warnings_about(dark))
    assert not any("no spikes" in warning for warning in warnings_about(parse_job_spec(on_cifar())))


def by_hand(x: NDArray[Any], padding: int, top: int, left: int, mirrored: bool) -> NDArray[Any]:
    """One image `[H, W, C]`, pixel by pixel."""
    height, width, channels = x.shape
    result = np.zeros_like(x)
    for row in range(height):
        for column in range(width):
            seen = width - 1 - column if mirrored else column
            source = (row + top - padding, seen + left - padding)
            if 0 <= source[0] < height and 0 <= source[1] < width:
                for channel in range(channels):
                    result[row, column, channel] = x[(*source, channel)]
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("padding", "flip"), [(2, True), (3, False), (0, True)])
def test_crops_and_mirrors_are_those_of_a_plain_loop(dtype: Any, padding: int, flip: bool) -> None:
    n, shape = 30, (4, 5, 3)
    x = DRAW.integers(1, 256, (n, 60)).astype(dtype)
    wanted = spec.Augmentation(crop_padding=padding, horizontal_flip=flip)
    found = augmented(x, shape, wanted, stream(7, "augment", 1, 2))
    again = stream(7, "augment", 1, 2)
    top, left = again.integers(0, 2 * padding, size=(2, n), endpoint=True) if padding else np.zeros((2, n), int)
    mirrored = again.random(n) < 0.5 if flip else np.zeros(n, bool)
    if padding:
        assert {*top.tolist()} == {*left.tolist()} == set(range(2 * padding + 1))
    assert 5 < mirrored.sum() < 25 if flip else not mirrored.any()
    for i in range(n):
        expected = by_hand(x[i].reshape(shape), padding, int(top[i]), int(left[i]), bool(mirrored[i]))
        assert np.array_equal(found[i].reshape(shape), expected)
    assert found.dtype == dtype


def shown(job: spec.JobSpec, samples: Any, purpose: str, *where: int) -> torch.Tensor:
    return prepare(job, samples, purpose, *where, dtype=torch.float32, device=torch.device("cpu")).x


def test_only_training_images_are_changed_and_each_batch_of_each_epoch_in_its_own_way() -> None:
    job = parse_job_spec(on_cifar(augmentation={"crop_padding": 4, "horizontal_flip": True}))
    samples = loaded(n_train=2).train
    plain = shown(job, samples, "validation", 0)
    assert torch.equal(plain, shown(job, samples, "test", 0))
    assert torch.equal(plain, torch.tensor(np.stack([IMAGES[0], IMAGES[1]])).reshape(2, -1).float() * (1 / 255))
    views = [shown(job, samples, "train", batch, epoch) for batch, epoch in ((0, 1), (1, 1), (0, 2))]
    assert all(not torch.equal(a, b) for i, a in enumerate([plain, *views]) for b in views[i:])
    assert torch.equal(views[0], shown(job, samples, "train", 0, 1))


def test_standardised_channels_have_mean_0_and_deviation_1_in_every_split() -> None:
    pixels = np.stack([IMAGES[i] for i in (0, 1)]) / 255
    mean, std = (by.astype(float).tolist() for by in (pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))))
    job = parse_job_spec(on_cifar(standardise={"mean": mean, "std": std}))
    for purpose in ("train", "validation", "test"):
        x = shown(job, loaded(n_train=2).train, purpose, 0).reshape(-1, 3)
        assert x.mean(0).abs().max() < 1e-5
        assert (x.std(0, correction=0) - 1).abs().max() < 1e-5


@pytest.mark.usefixtures("one_thread")
def test_a_resumed_run_sees_the_crops_that_it_would_have_seen() -> None:
    job = parse_job_spec(
        on_cifar(augmentation={"crop_padding": 4, "horizontal_flip": True}, standardise={"mean": MEAN, "std": STD})
    )
    assert warnings_about(job) == []
    whole = list(train(job))
    first: list[Event] = []
    done = 0

    def should_stop() -> str | None:
        return "pause" if done >= 4 else None

    for event in train(job, should_stop=should_stop):
        first.append(event)
        done = event.step if isinstance(event, Progress) else done
    last = [event for event in first if isinstance(event, Checkpoint)][-1]
    second = list(train(job, resume=last.data))
    assert series(first + second) == series(whole)
    plain = list(train(parse_job_spec(on_cifar(standardise={"mean": MEAN, "std": STD}))))
    assert series(plain) != series(whole)
    assert isinstance(whole[-1], Finished)


def series(events: list[Event]) -> dict[tuple[str, str, int], float]:
    return {(e.name, e.split, e.step): e.value for e in events if isinstance(e, Metric)}
