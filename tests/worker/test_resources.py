from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from worker import resources
from worker.log import LineFormatter


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("nonsense", 8), (None, 8)]
)
def test_a_containers_quota_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(resources, "CGROUP_CPU_MAX", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert resources.usable_cores() == cores


@pytest.mark.parametrize(("slots", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_trainers_share_the_cores(monkeypatch: pytest.MonkeyPatch, slots: int, threads: int) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    assert resources.threads_per_trainer(slots) == threads


def test_threads_do_not_spin_for_each_other_unless_somebody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert resources.thread_environment(3) == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert resources.thread_environment(3)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_machine_without_a_driver_trains_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert resources.describe_device() == "cpu"


def test_visible_devices_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Some GPU'\necho 'Other GPU'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert resources.describe_device() == "cuda: Some GPU, Other GPU"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert resources.describe_device() == "cpu"


def test_a_log_line_shows_its_pairs() -> None:
    record = logging.makeLogRecord(
        {"name": "worker.x", "levelname": "INFO", "msg": "claimed", "job": "job_1", "attempt": 2, "created": 0.0}
    )
    assert LineFormatter().format(record).endswith("Z INFO worker.x claimed job=job_1 attempt=2")
