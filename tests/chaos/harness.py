"""The real service in processes of its own, a way to hurt it, and everything a job left behind as comparable bits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from safetensors import deserialize
from sqlalchemy import select

from service.client import Client
from service.store import checkpoints, events, jobs
from service.store.engine import Database
from service.store.tables import Checkpoint, Job, MetricPoint, MetricSeries, Raster, RasterChunk

T = TypeVar("T")

MARK = "SPIKESMITH_TEST_MARK"
ROLES = {
    "trainer": "worker.trainer",
    "worker": "worker",
    "api": "service.server.api",
    "redis": "redis-server",
}
QUICK = {
    # The same bits need the same number of threads; one gets along with whatever else the machine does.
    "SPIKESMITH_THREADS": "1",
    "SPIKESMITH_SLOTS": "2",
    "SPIKESMITH_CHECKPOINT_INTERVAL_S": "1",
    "SPIKESMITH_FLUSH_S": "0.05",
    "SPIKESMITH_SUPERVISE_S": "0.05",
    "SPIKESMITH_SWEEP_S": "0.3",
    "SPIKESMITH_REDISPATCH_S": "1",
    "SPIKESMITH_HEARTBEAT_S": "0.5",
    "SPIKESMITH_LEASE_S": "6",
    "SPIKESMITH_LEASE_RENEW_S": "1",
    "SPIKESMITH_STOP_GRACE_S": "1",
    "SPIKESMITH_KILL_GRACE_S": "1",
}


def until(condition: Callable[[], T], timeout_s: float = 90.0, *, pause_s: float = 0.03, what: str = "") -> T:
    """The first true value of `condition`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not come about within {timeout_s} s: {what or condition}"
        time.sleep(pause_s)
    return value


class Service:
    """`spikesmith serve` on a data folder, started, stopped and started again."""

    def __init__(self, home: Path, database_url: str | None = None, **settings: str) -> None:
        self.home = home
        self.mark = uuid.uuid4().hex
        self.env = os.environ | QUICK | settings | {MARK: self.mark}
        if database_url is not None:
            self.env["DATABASE_URL"] = database_url
        self.database = Database(database_url or f"sqlite:///{home / 'spikesmith.db'}", busy_timeout_ms=30_000)
        self.log = home.with_suffix(".log")
        self._serve: subprocess.Popen[bytes] | None = None
        self._redis_dirs: set[str] = set()

    # -- coming and going

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._serve = subprocess.Popen(
                [Path(sys.executable).with_name("spikesmith"), "serve", "--port", "0", "--data-dir", self.home],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._ready, what=f"a ready service; its output is in {self.log}")

    def _ready(self) -> bool:
        assert self._serve is not None
        assert self._serve.poll() is None, self.log.read_text()
        notes = self._notes()
        if not notes.get("url"):
            return False
        self._redis_dirs.add(notes["redis_dir"])
        with self.client() as client:
            return client.is_ready()

    def terminate(self) -> int:
        """SIGTERM, as an operator stops it. The exit code."""
        assert self._serve is not None
        self._serve.terminate()
        return self._serve.wait(60)

    def kill(self) -> None:
        """SIGKILL to `serve` alone."""
        assert self._serve is not None
        self._serve.kill()
        self._serve.wait()

    def kill_all(self) -> None:
        """What a power cut does."""
        for process in self.processes():
            process.kill()
        if self._serve is not None:
            self._serve.wait()
        until(lambda: not self.processes(), what="nothing left after SIGKILL")

    def close(self) -> None:
        self.kill_all()
        for directory in self._redis_dirs:  # what a killed `serve` leaves is removed by the next one, if there is one
            shutil.rmtree(directory, ignore_errors=True)
        self.database.close()

    def _notes(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.home / "serve.lock").read_text())
        except (OSError, ValueError):
            return {}
        return found if self._serve is not None and found.get("pid") == self._serve.pid else {}

    def client(self) -> Client:
        return Client(self._notes()["url"])

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self._notes()['redis_dir']}/redis.sock"

    # -- its processes

    def processes(self) -> list[psutil.Process]:
        """All processes of this service, whoever their parent is now."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.name() == "redis-server":  # it writes its title over its environment
                return any(directory in " ".join(process.cmdline()) for directory in self._redis_dirs)
            return process.environ().get(MARK) == self.mark
        except psutil.Error:
            return False

    def find(self, role: str) -> psutil.Process | None:
        """The running process of a role."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if ROLES[role] in (process.name(), *process.cmdline()) and self._is_ours(process):
                    return process
        return None

    def signal(self, role: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Hit the process of a role, once there is one. Its id."""
        process = until(lambda: self.find(role), what=f"a running {role}")
        process.send_signal(number)
        if number == signal.SIGKILL:
            until(lambda: not self._is_ours(process), what=f"the end of {role}")
        return process.pid

    # -- jobs, past the API where it may be down

    def submit(self, spec: dict[str, Any]) -> str:
        with self.client() as client:
            return client.submit(spec).id

    def insert(self, spec: dict[str, Any]) -> str:
        """A job that no API checked and no doorbell rang for."""
        with self.database.write() as session:
            return jobs.create(session, spec=spec).id

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)

    def step(self, job_id: str) -> int:
        return int((self.job(job_id).progress or {}).get("step", 0))

    def last_checkpoint(self, job_id: str) -> Checkpoint | None:
        with self.database.read() as session:
            return checkpoints.by_kind(session, job_id, "last")

    def events(self, job_id: str, kind: str) -> list[dict[str, Any]]:
        with self.database.read() as session:
            return [event.data for event in events.after(session, job_id, 0, 100_000) if event.type == kind]

    def states(self, job_id: str) -> list[str]:
        return [event["state"] for event in self.events(job_id, "state")]

    def wait(self, job_id: str, *states: str, timeout_s: float = 120.0) -> Job:
        def arrived() -> Job | None:
            job = self.job(job_id)
            return job if job.state in {*states, "failed", "succeeded"} else None

        job = until(arrived, timeout_s, what=f"{job_id} to be {states}; the service's output is in {self.log}")
        assert job.state in states, (job.state, job.error_code, job.error_detail)
        return job

    def outcome(self, job_id: str) -> dict[str, Any]:
        """Everything a finished job left behind that depends on the training alone, down to the bit."""
        with self.database.read() as session:
            job = jobs.get(session, job_id)
            assert job.state == "succeeded", (job.state, job.error_code, job.error_detail)
            assert job.result is not None
            series = {
                (row.name, row.split): (row.count, row.last, row.last_step, row.min, row.max, row.best_step)
                for row in session.scalars(select(MetricSeries).where(MetricSeries.job_id == job_id))
            }
            points = session.execute(
                select(MetricSeries.name, MetricSeries.split, MetricPoint.step, MetricPoint.epoch, MetricPoint.value)
                .join(MetricSeries, MetricSeries.id == MetricPoint.series_id)
                .where(MetricSeries.job_id == job_id)
                .order_by(MetricSeries.name, MetricSeries.split, MetricPoint.step)
            ).all()
            spikes = session.execute(
                select(Raster.epoch, Raster.split, Raster.layer, Raster.sample, RasterChunk.t_start, RasterChunk.sha256)
                .join(RasterChunk, RasterChunk.raster_id == Raster.id)
                .where(Raster.job_id == job_id)
                .order_by(Raster.epoch, Raster.split, Raster.layer, Raster.sample, RasterChunk.t_start)
            ).all()
            weights = {}
            for kind in ("best", "last"):
                found = checkpoints.by_kind(session, job_id, kind)
                assert found is not None
                tensors = deserialize(checkpoints.load(session, found.id))
                weights[kind] = {name: bytes(tensor["data"]) for name, tensor in tensors}
            return {
                "result": {key: job.result[key] for key in ("metrics", "confusion_matrix", "firing")},
                "progress": {key: (job.progress or {}).get(key) for key in ("epoch", "step", "fraction")},
                "series": series,
                "points": [tuple(row) for row in points],
                "spikes": [tuple(row) for row in spikes],
                "weights": weights,
            }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Part by part, so that a difference says where it is."""
    assert found.keys() == expected.keys()
    for part in expected:
        assert found[part] == expected[part], f"{part} differs"


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.close()
