"""An application on a real database, and jobs that were driven through an attempt without any worker."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from service.app import create_app
from service.dispatch import Doorbell
from service.settings import Settings
from service.store.attempt import Attempt, claim
from service.store.engine import Database
from service.store.rows import CheckpointRow, LogRow, MetricRow, RasterRow, ReceptiveFieldsRow, RecordBatch
from snncore.presets import get_preset

with warnings.catch_warnings():
    # It would rather have httpx2, which is not the client library of this project.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

sqlite_only = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""For tests of what happens in front of the database or behind it, where its kind makes no difference."""

RESULT: dict[str, Any] = {
    "metrics": {"train": {"loss": 0.4}, "test": {"loss": 0.5, "accuracy": 0.9375}},
    "confusion_matrix": [[3, 1], [0, 4]],
    "firing": {"hidden": {"rate_hz": 48.5, "silent_share": 0.02}},
    "cost": {"wall_time_s": 12.5, "samples_per_s": 800.0},
    "environment": {"torch": "2.13.0", "threads": 2},
}


def digits_spec() -> dict[str, Any]:
    """A valid spec to change."""
    return copy.deepcopy(get_preset("digits/lsnn").spec)


def make_spikes() -> NDArray[np.bool_]:
    """40 steps of 12 neurons."""
    return np.random.default_rng(5).random((40, 12)) < 0.1


def make_weights() -> NDArray[np.float32]:
    """Of 12 neurons on 4 x 6 pixels."""
    return np.random.default_rng(6).random((12, 24)).astype(np.float32)


LABELS = [*range(10), None, 3]


@dataclass
class Recorded:
    """A job with everything that an attempt may record."""

    id: str
    attempt: Attempt
    spikes: NDArray[np.bool_]

    @property
    def url(self) -> str:
        return f"/v1/jobs/{self.id}"


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=migrated_url, sse_poll_s=0.02, broker_url=None, _env_file=None)


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """One application for all tests: building its OpenAPI document takes longer than most of them."""
    return create_app(Settings(home=tmp_path_factory.mktemp("home"), _env_file=None))


@pytest.fixture
def client(shared_app: FastAPI, settings: Settings, database: Database) -> Iterator[TestClient]:
    """The application with this test's settings and database."""
    state = shared_app.state
    state.settings, state.database, state.doorbell = settings, database, Doorbell(database, settings.broker_url)
    with TestClient(shared_app) as client:
        yield client


@pytest.fixture
def submit(client: TestClient) -> Callable[..., str]:
    def run(**changes: Any) -> str:
        response = client.post("/v1/jobs", json={**digits_spec(), **changes})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    return run


@pytest.fixture
def start(database: Database, submit: Callable[..., str]) -> Callable[..., Attempt]:
    def run(job_id: str | None = None, **changes: Any) -> Attempt:
        job_id = job_id or submit(**changes)
        held = claim(database, job_id, "wrk_1", lease_s=60)
        assert held is not None
        return Attempt(database, job_id, held.attempt)

    return run


def full_batch(spikes: NDArray[np.bool_]) -> RecordBatch:
    return RecordBatch(
        metrics=[
            MetricRow(name, split, step, step // 10, 1.0 / step, better="min" if name == "loss" else "max")  # type: ignore[arg-type]
            for name, split in (("loss", "train"), ("loss", "test"), ("accuracy", "test"))
            for step in range(10, 60, 10)
        ],
        rasters=[
            RasterRow(epoch, 10 * epoch, "test", layer, 0, 3, 3, 0.5, spikes)
            for epoch in (1, 2)
            for layer in ("hidden", "output")
        ],
        receptive_fields=[
            ReceptiveFieldsRow(epoch, 10 * epoch, layer, (4, 6, 1), make_weights(), LABELS)
            for epoch in (1, 2)
            for layer in ("excitatory", "other")
        ],
        checkpoints=[
            CheckpointRow("periodic", 1, 10, b"periodic weights"),
            CheckpointRow("best", 1, 10, b"best weights"),
            CheckpointRow("last", 2, 20, b"last weights"),
        ],
        logs=[LogRow("info", "epoch 1"), LogRow("warning", "layer hidden is silent"), LogRow("info", "epoch 2")],
        progress={"epoch": 2, "epochs": 2, "fraction": 1.0, "eta_s": 0.0, "samples_per_s": 812.5},
        warnings=["layer hidden is silent"],
    )


@pytest.fixture
def recorded(start: Callable[..., Attempt]) -> Recorded:
    """A job that succeeded."""
    attempt = start(name="recorded", labels={"study": "1"})
    spikes = make_spikes()
    attempt.succeed(full_batch(spikes), RESULT)
    return Recorded(attempt.job_id, attempt, spikes)


ARROW = "application/vnd.apache.arrow.stream"


def get(client: TestClient, url: str, accept: str | None = None, **headers: str) -> Any:
    response = client.get(url, headers=({"Accept": accept} if accept else {}) | headers)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def raster(client: TestClient, recorded: Recorded) -> str:
    """The URL of a raster."""
    found = get(client, f"{recorded.url}/rasters?epoch=2&layer=hidden").json()["items"]
    return f"{recorded.url}/rasters/{found[0]['id']}"
