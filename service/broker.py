"""The Celery application, as much of it as publisher and consumer must agree on.

The broker carries doorbells, never state: a message holds a job's id, and the row decides. So a message may be lost
(housekeeping rings again) or doubled (the conditional claim lets one through); everything here prefers plain and quick.
"""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue

TASK_NAME = "spikesmith.run_job"
QUEUE_NAME = "spikesmith"


def make_celery(broker_url: str) -> Celery:
    """A Celery application on `broker_url` that keeps no results and publishes without retries."""
    app = Celery("spikesmith", broker=broker_url, set_as_current=False)
    app.conf.update(
        # The default exchange routes by queue name without a binding table in the broker, so an emptied Redis
        # (FLUSHALL) forgets nothing that publishing or consuming would need.
        task_queues=[Queue(QUEUE_NAME, Exchange(""), routing_key=QUEUE_NAME)],
        task_default_queue=QUEUE_NAME,
        task_default_exchange="",
        task_default_routing_key=QUEUE_NAME,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        # Early acknowledgement: the lease in the database is what brings a lost job back, never a redelivery.
        task_acks_late=False,
        # A publisher that retries would hang the request; housekeeping rings what could not be rung.
        task_publish_retry=False,
        broker_connection_timeout=3.0,
        broker_transport_options={
            "socket_timeout": 30.0,
            "socket_connect_timeout": 3.0,
            "socket_keepalive": True,
            "health_check_interval": 20,
        }
        if broker_url.startswith("redis")
        else {},
        enable_utc=True,
    )
    return app
