"""Uploads by the command line and the client, to a service that trains on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.client import Client, ServiceError
from tests.cli.conftest import TINY, Outcome
from tests.cli.held import Service
from tests.serving import Served

SPEC: dict[str, Any] = TINY | {
    "dataset": {"kind": "uploaded", "name": "stripes"},
    "encoding": {"kind": "poisson", "duration_ms": 20.0, "max_rate_hz": 300},
    "training": {"kind": "bptt", "epochs": 4, "batch_size": 32, "optimiser": {"kind": "adam", "learning_rate": 0.01}},
}


def stripes(n: int = 600, n_classes: int = 3) -> dict[str, Any]:
    """Noisy images of 6 x 6 with a bright stripe, whose place is the class."""
    draw = np.random.default_rng(0)
    y = draw.integers(n_classes, size=n)
    x = draw.integers(100, size=(n, 6, 6), dtype=np.uint8)
    x[np.arange(n), 2 * y] += 120
    return {"x": x, "y": y}


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "stripes.npz"
    np.savez_compressed(path, **stripes())
    return path


@pytest.mark.slow
def test_uploaded_arrays_are_learned(at_service: Served) -> None:
    with Client(at_service.url) as client:
        uploaded = client.upload_dataset("stripes", stripes())
        assert (uploaded.state, uploaded.shape, uploaded.n_classes) == ("uploaded", [6, 6], 3)
        job = client.submit({**SPEC, "dataset": uploaded.spec})
        ended = client.wait(job.id, timeout_s=120)
        assert ended.state == "succeeded", ended.error
        assert client.result(job.id)["metrics"]["test"]["accuracy"] > 0.9
        assert client.upload_dataset("stripes", stripes()).created_at == uploaded.created_at
        client.delete_dataset("stripes")
        assert "stripes" not in [dataset.name for dataset in client.datasets()]


def test_datasets_are_put_listed_and_deleted(
    spikesmith: Callable[..., Outcome], held: Service, npz: Path, tmp_path: Path
) -> None:
    put = spikesmith("datasets", "put", "stripes", str(npz))
    assert (put.code, put.out.strip()) == (0, "dataset: {kind: uploaded, name: stripes}")
    assert "600 uploaded samples of 3 classes" in put.err
    table = spikesmith("datasets").out
    assert [line.split()[0] for line in table.splitlines()[1:3]] == ["digits", "mnist"]
    assert table.splitlines()[-1].split()[:6] == ["stripes", "uploaded", "600", "6", "x", "6"]
    listed = json.loads(spikesmith("datasets", "--json").out)
    assert listed[-1] == json.loads(spikesmith("datasets", "put", "stripes", str(npz), "--json").out)
    assert spikesmith("datasets", "delete", "stripes").code == 0
    assert spikesmith("datasets", "delete", "stripes").code == 2


def test_a_refusal_names_the_array(spikesmith: Callable[..., Outcome], held: Service, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    np.savez(path, **stripes(), z=1)
    put = spikesmith("datasets", "put", "stripes", str(path))
    assert put.code == 2
    assert "body.z: is not an array of a dataset" in put.err
    assert spikesmith("datasets", "put", "stripes", str(tmp_path / "none.npz")).code == 2


def test_arrays_of_objects_are_not_sent(held: Service) -> None:
    with Client(held.url) as client, pytest.raises(ValueError, match="pickle"):
        client.upload_dataset("stripes", {"x": [{}]})


def test_the_client_raises_what_the_service_says(held: Service) -> None:
    with Client(held.url) as client, pytest.raises(ServiceError) as refused:
        client.upload_dataset("stripes", {"x": [[0.0, np.inf], [0.0, 0.0]]})
    assert (refused.value.status, refused.value.code) == (422, "invalid_dataset")
    assert refused.value.errors[0].field == "body.x"
