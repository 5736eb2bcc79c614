from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.cli.app import run
from tests.cli.held import Service, holding
from tests.serving import Served, served

TINY: dict[str, Any] = {
    "task": {"kind": "classification"},
    "dataset": {"kind": "digits"},
    "encoding": {"kind": "poisson", "duration_ms": 10.0},
    "architecture": {"kind": "recurrent", "n_hidden": 20, "readout": {"kind": "leaky"}},
    "neuron": {"kind": "lif"},
    "training": {"kind": "bptt", "epochs": 1, "batch_size": 128},
}
"""A job of about a second."""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def spikesmith(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command line in this process."""

    def call(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = run(arguments)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all tests of the command line."""
    with served(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def at_service(service: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The service, as what SPIKESMITH_URL names."""
    monkeypatch.setenv("SPIKESMITH_URL", service.url)
    return service


@pytest.fixture
def held(sqlite_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service without a worker, as what SPIKESMITH_URL names."""
    with holding(sqlite_database_url, tmp_path) as running:
        monkeypatch.setenv("SPIKESMITH_URL", running.url)
        yield running


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No service, and a home of its own."""
    monkeypatch.setenv("SPIKESMITH_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SPIKESMITH_HOME", str(tmp_path / "home"))
    for name in ("DATABASE_URL", "BROKER_URL", "SPIKESMITH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
