"""Datasets: what the splits hold, and what happens when the data cannot be had."""

from __future__ import annotations

import gzip
import http.server
import os
import threading
from functools import partial
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest

from snncore import datasets
from snncore.datasets import mnist
from snncore.errors import DatasetUnavailable
from snncore.spec import MNIST, Digits, ExponentialVectors
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


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    """A web server on this machine with a tiny IDX file, known by its checksums, in the place of MNIST's."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    content = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])
    (folder / "tiny.gz").write_bytes(gzip.compress(content, mtime=0))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_downloads_are_checked_and_cached(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = (tmp_path / "mirror" / "tiny.gz").read_bytes()
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(mnist.ARCHIVE_MD5, "tiny", md5(archive).hexdigest())
    file = mnist._download("tiny", source=mirror)
    assert file == tmp_path / "cache" / "mnist" / "tiny.gz"
    assert mnist._download("tiny", source="http://127.0.0.1:9/") == file  # from the cache: nobody answers there

    file.unlink()
    monkeypatch.setitem(mnist.ARCHIVE_MD5, "tiny", "0" * 32)
    with pytest.raises(DatasetUnavailable, match=r"could not be downloaded .*SPIKESMITH_DATA"):
        mnist._download("tiny", source=mirror)


def test_without_data_or_network_the_error_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path))
    monkeypatch.setenv("SPIKESMITH_DATA", "")
    with pytest.raises(DatasetUnavailable, match="name its parent in SPIKESMITH_DATA"):
        mnist._download("train-images-idx3-ubyte", source="http://127.0.0.1:9/")
