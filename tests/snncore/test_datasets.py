"""Datasets: what the splits hold, and what happens when the data cannot be had."""

from __future__ import annotations

import gzip
import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest

from snncore import datasets
from snncore.datasets import Samples, fashion_mnist, idx, mnist
from snncore.errors import DatasetUnavailable
from snncore.spec import MNIST, Digits, ExponentialVectors, FashionMNIST
from tests.snncore.jobs import REAL_MNIST


def test_digits_are_split_without_overlap_and_with_the_classes_in_proportion() -> None:
    splits = datasets.load(Digits(kind="digits"), seed=0)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [1258, 180, 359]
    rows = [row.tobytes() for split in (splits.train, splits.validation, splits.test) for row in split.x]
    assert len(set(rows)) == len(rows) == 1797
    for split in (splits.validation, splits.test):
        assert split.y is not None
        counts = np.bincount(split.y, minlength=10)
        assert counts.min() >= 0.9 * len(split) / 10 - 1
    assert splits.train.x.min() >= 0
    assert splits.train.x.max() == 1


def test_the_split_of_digits_depends_on_its_own_seed_alone() -> None:
    first, same = (datasets.load(Digits(kind="digits"), seed=seed) for seed in (0, 1))
    other = datasets.load(Digits(kind="digits", split_seed=1), seed=0)
    assert np.array_equal(first.test.x, same.test.x)
    assert not np.array_equal(first.test.x, other.test.x)


def test_exponential_vectors_have_their_mean_and_a_draw_of_their_own_for_each_seed_and_split() -> None:
    spec = ExponentialVectors(kind="exponential", n_features=4, mean=0.5, n_train=20_000, n_test=10)
    first, other = datasets.load(spec, seed=0), datasets.load(spec, seed=1)
    assert first.train.x.mean() == pytest.approx(0.5, abs=0.01)
    assert first.train.x.std() == pytest.approx(0.5, abs=0.02)
    assert not np.array_equal(first.train.x, other.train.x)
    assert not np.array_equal(first.train.x[:10], first.test.x)
    smaller = ExponentialVectors(kind="exponential", n_features=4, mean=0.5, n_train=100, n_test=10)
    assert np.array_equal(datasets.load(smaller, seed=0).test.x, first.test.x)


@pytest.mark.skipif(not REAL_MNIST, reason="NO MNIST HERE: name a folder that holds mnist/ in SPIKESMITH_DATA")
def test_mnist_is_read_as_published() -> None:
    splits = datasets.load(MNIST(kind="mnist"), seed=0)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [55_000, 5_000, 10_000]
    assert splits.train.y is not None
    assert splits.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert splits.test.y is not None
    assert splits.test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert splits.train.x.max() * splits.train.scale == 1
    assert float(splits.train.x.mean()) * splits.train.scale == pytest.approx(0.1307, abs=1e-3)


def test_a_file_that_is_not_mnist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    file = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(b"something else"))
    monkeypatch.setenv("SPIKESMITH_DATA", os.pathsep.join(["/nowhere", str(tmp_path)]))
    with pytest.raises(DatasetUnavailable, match=r"train-images-idx3-ubyte.gz is not MNIST's"):
        datasets.load(MNIST(kind="mnist"), seed=0)
    file.write_bytes(b"not gzip at all")
    with pytest.raises(DatasetUnavailable, match="cannot be read"):
        datasets.load(MNIST(kind="mnist"), seed=0)


TINY = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), mtime=0)
NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[idx.Published]:
    """A web server on this machine with a tiny IDX file, known by its checksum, in the place of MNIST's."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "tiny.gz").write_bytes(TINY)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = f"http://127.0.0.1:{server.server_port}/"
    yield idx.Published("Tiny", ("tiny", "."), source, {"tiny": md5(TINY).hexdigest()})
    server.shutdown()
    server.server_close()


def test_downloads_are_checked_and_cached(
    mirror: idx.Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    file = idx.download(mirror, "tiny")
    assert file == tmp_path / "cache" / "tiny" / "tiny.gz"
    assert idx.download(replace(mirror, source=NOBODY), "tiny") == file  # from the cache: nobody answers there

    file.unlink()
    with pytest.raises(DatasetUnavailable, match=r"could not be downloaded .*SPIKESMITH_DATA"):
        idx.download(replace(mirror, archive_md5={"tiny": "0" * 32}), "tiny")


def test_without_data_or_network_the_error_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path))
    monkeypatch.setenv("SPIKESMITH_DATA", "")
    for published, folder in ((mnist.MNIST, "mnist"), (fashion_mnist.FASHION_MNIST, "fashion_mnist")):
        with pytest.raises(
            DatasetUnavailable, match=f"into a folder `{folder}` and name its parent in SPIKESMITH_DATA"
        ):
            idx.download(replace(published, source=NOBODY), "train-images-idx3-ubyte")


@pytest.fixture
def clothes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Archives in the layout of Fashion-MNIST, which they are taken for: 4 images for training, 2 for tests."""
    folder, known = tmp_path / "fashion_mnist", {}
    folder.mkdir()
    for part, n in (("train", 4), ("t10k", 2)):
        pixels = bytes(range(n)) * 784
        files = {
            "images-idx3": bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28]) + pixels,
            "labels-idx1": bytes([0, 0, 8, 1, 0, 0, 0, n, *range(n)]),
        }
        for name, content in files.items():
            archive = gzip.compress(content)
            known[f"{part}-{name}-ubyte"] = md5(archive).hexdigest()
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(archive)
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", replace(fashion_mnist.FASHION_MNIST, archive_md5=known))
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path))
    return folder


def test_a_random_subset_follows_the_seed_and_leaves_the_validation_split_alone(clothes: Path) -> None:
    """Two of the three images that are not for validation: every pair in every order is drawn by some seed."""
    spec = FashionMNIST(kind="fashion_mnist", n_train=2, n_validation=1, n_test=2, subset="random")
    drawn = set()
    for seed in range(60):
        first, second = (datasets.load(spec, seed) for _ in range(2))
        assert isinstance(first.train, Samples)
        assert isinstance(second.train, Samples)
        assert first.train.y is not None
        assert second.train.y is not None
        assert first.train.y.tolist() == second.train.y.tolist()
        assert first.train.x.shape == (2, 784)
        assert first.validation.y is not None
        assert first.validation.y.tolist() == [3]
        drawn.add(tuple(first.train.y.tolist()))
    assert drawn == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}


def test_fashion_mnist_is_read_from_its_archives_alone(clothes: Path) -> None:
    spec = FashionMNIST(kind="fashion_mnist", n_train=3, n_validation=1, n_test=2, pooling=2)
    splits = datasets.load(spec, seed=0)
    labels = [samples.y.tolist() for samples in (splits.train, splits.validation, splits.test) if samples.y is not None]
    assert labels == [[0, 1, 2], [3], [0, 1]]
    assert splits.train.x.shape == (3, 196)
    for file in clothes.iterdir():
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()) + b"more"))
    with pytest.raises(DatasetUnavailable, match=r"train-images-idx3-ubyte.gz is not Fashion-MNIST's"):
        datasets.load(spec, seed=0)
