"""One service and one undisturbed run that all tests compare with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from snncore.presets import get_preset
from snncore.spec import deep_merge, parse_job_spec
from tests.chaos.harness import Service, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chaos" in item.path.parts:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def spec() -> dict[str, Any]:
    """A few seconds of training: 5 epochs of 63 batches."""
    # the slow engine: the disturbances need time to come in between
    overrides = {"training": {"engine": "reference", "epochs": 5, "batch_size": 20}}
    return parse_job_spec(deep_merge(get_preset("digits/lsnn").spec, overrides)).model_dump(mode="json")


@pytest.fixture(scope="session")
def tiny_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Next to no training."""
    overrides = {"training": {"epochs": 1, "batch_size": 512}, "recording": {"kind": "none"}}
    return parse_job_spec(deep_merge(spec, overrides)).model_dump(mode="json")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Shared by the tests that leave it running. What it finds in the place of MNIST is not MNIST."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "data").mkdir()
    (folder / "data" / "train-images-idx3-ubyte").write_bytes(b"not MNIST")
    with running(Service(folder / "home", SPIKESMITH_DATA=str(folder / "data"))) as shared:
        yield shared


@pytest.fixture(scope="session")
def reference(service: Service, spec: dict[str, Any]) -> dict[str, Any]:
    """What a run that nobody disturbs ends with."""
    job_id = service.submit(spec)
    assert service.wait(job_id, "succeeded").attempt == 1
    return service.outcome(job_id)
