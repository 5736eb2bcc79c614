from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.broker import QUEUE_NAME
from service.dispatch import Doorbell
from service.server.redis import SOCKET_NAME, redis_command, redis_url
from service.store import jobs
from service.store.engine import Database
from service.store.rows import RecordBatch
from tests.worker.claimed import ClaimedJob
from worker.app import consumer_app


class Broker:
    """A private Redis that can go away and come back."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = redis_url(directory)
        self.client = redis.Redis(unix_socket_path=str(directory / SOCKET_NAME))
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(redis_command(self.directory, self.directory / "redis.log"))
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def waiting(self) -> int:
        return int(self.client.llen(QUEUE_NAME))  # type: ignore[arg-type]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory(prefix="spikesmith-") as folder:
        broker = Broker(Path(folder))
        yield broker
        broker.client.close()
        broker.stop()


@pytest.fixture
def queued(job: ClaimedJob) -> ClaimedJob:
    job.attempt.stopped("shutdown", RecordBatch())
    return job


def test_ringing_leaves_a_message_and_a_stamp(broker: Broker, queued: ClaimedJob, sqlite_database: Database) -> None:
    assert queued.row.dispatched_at is None
    with Doorbell(sqlite_database, broker.url) as doorbell:
        assert doorbell.ring(queued.id)
    assert broker.waiting == 1
    assert queued.id.encode() in _decoded(broker)
    assert queued.row.dispatched_at is not None


def _decoded(broker: Broker) -> bytes:
    (message,) = broker.client.lrange(QUEUE_NAME, 0, -1)  # type: ignore[misc]
    return base64.b64decode(json.loads(message)["body"])


def test_a_job_that_waits_is_rung_for_once_what_it_needs_has_succeeded(
    broker: Broker, job: ClaimedJob, sqlite_database: Database
) -> None:
    with sqlite_database.write() as session:
        waiting = jobs.create(session, spec={}, needed=[job.id]).id
    with Doorbell(sqlite_database, broker.url) as doorbell:
        assert doorbell.ring(waiting)
        doorbell.ring_freed(job.id)
        assert broker.waiting == 0
        job.attempt.succeed(RecordBatch(), {})
        doorbell.ring_freed(job.id)
    assert broker.waiting == 1
    assert waiting.encode() in _decoded(broker)
    with sqlite_database.read() as session:
        assert jobs.get(session, waiting).dispatched_at is not None


def test_an_emptied_broker_forgets_nothing_that_ringing_needs(
    broker: Broker, queued: ClaimedJob, sqlite_database: Database
) -> None:
    with Doorbell(sqlite_database, broker.url) as doorbell:
        assert doorbell.ring(queued.id)
        broker.client.flushall()
        assert doorbell.ring(queued.id)
    assert broker.waiting == 1


def test_a_broker_that_is_away_costs_a_moment_and_no_error(
    broker: Broker, queued: ClaimedJob, sqlite_database: Database
) -> None:
    with Doorbell(sqlite_database, broker.url) as doorbell:
        assert doorbell.ring(queued.id)
        broker.stop()
        began = time.monotonic()
        assert not doorbell.ring(queued.id)
        assert not doorbell.ring(queued.id)
        assert time.monotonic() - began < 2
        broker.start()
        assert doorbell.ring(queued.id) or doorbell.ring(queued.id), "it rings again once the broker is back"


def test_a_worker_takes_one_message_a_slot_and_keeps_no_results(broker: Broker) -> None:
    app = consumer_app(broker.url)
    assert app.conf.worker_disable_prefetch
    assert app.conf.worker_prefetch_multiplier == 1
    assert not app.conf.task_acks_late
    assert not app.conf.worker_enable_remote_control
    assert app.backend.as_uri() == "disabled://"
    app.close()


@pytest.mark.parametrize("url", ["amqp://127.0.0.1:9//", "redis://127.0.0.1:9/0"])
def test_an_address_where_nobody_listens_costs_a_moment_and_no_error(
    queued: ClaimedJob, sqlite_database: Database, url: str
) -> None:
    began = time.monotonic()
    with Doorbell(sqlite_database, url) as doorbell:
        assert not doorbell.ring(queued.id)
    assert time.monotonic() - began < 2
    assert queued.row.dispatched_at is None
