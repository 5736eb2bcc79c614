"""The Celery worker: listens for doorbells and hands each to the supervisor.

Jobs run in the threads pool: a thread that owns a subprocess. Nothing forks, so no lock or CUDA context is ever
inherited, and a worker that is killed outright takes all its supervisors with it, which the trainers notice.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from dataclasses import asdict

from celery import Celery, signals

from service.broker import TASK_NAME, make_celery
from service.dispatch import Doorbell
from service.settings import Settings
from service.store.engine import Database, retrying
from worker.housekeeping import Housekeeping
from worker.log import configure_logging
from worker.registration import Registration, WorkerInfo
from worker.resources import describe_device, threads_per_trainer
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)


def consumer_app(broker_url: str) -> Celery:
    """The Celery application with the settings that only a consumer needs."""
    app = make_celery(broker_url)
    app.conf.update(
        # One message for each free slot: what waits, waits in the broker, where another worker can take it.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=broker_url.startswith("redis"),
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # A broker that is away comes back; meanwhile jobs go on.
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


def run(settings: Settings) -> int:
    """Run a worker in the foreground until SIGTERM. The exit code."""
    if settings.broker_url is None:
        print(  # noqa: T201
            "BROKER_URL is not set: a worker needs the broker that the API uses (redis://... or amqp://...).\n"
            "`spikesmith serve` starts everything on one machine and needs no broker.",
            file=sys.stderr,
        )
        return 2
    configure_logging(settings.log_level)
    database = Database(settings.resolved_database_url, busy_timeout_ms=settings.busy_timeout_ms)
    threads = settings.threads or threads_per_trainer(settings.slots)
    info = WorkerInfo(
        hostname=socket.gethostname(),
        pid=os.getpid(),
        device=describe_device(),
        threads=threads,
        slots=settings.slots,
    )
    stopping = threading.Event()
    registration = retrying(lambda: Registration(database, info), settings.store_patience_s)
    doorbell = Doorbell(database, settings.broker_url)
    supervisor = Supervisor(database, settings, doorbell, registration, threads, stopping)
    housekeeping = Housekeeping(database, settings, doorbell, registration, lambda: supervisor.busy_slots)

    app = consumer_app(settings.broker_url)

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def run_job(job_id: str) -> None:
        supervisor.run(job_id)

    def on_shutdown(**_: object) -> None:
        stopping.set()

    def on_logging(**_: object) -> None:
        """Being connected keeps Celery from configuring logging itself."""

    signals.worker_shutting_down.connect(on_shutdown, weak=False)
    signals.setup_logging.connect(on_logging, weak=False)
    worker = app.Worker(
        hostname=f"spikesmith-{info.pid}@{info.hostname}",
        pool="threads",
        concurrency=settings.slots,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        quiet=True,
    )
    housekeeping.start()
    logger.info("worker starts", extra=asdict(info))
    try:
        worker.start()
    finally:
        stopping.set()
        housekeeping.stop()
        registration.sign_off()
        database.close()
    return int(worker.exitcode or 0)
