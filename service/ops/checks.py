"""What has to be there for jobs to run."""

from __future__ import annotations

from collections.abc import Callable

from kombu.connection import Connection

from service import migrate
from service.settings import Settings
from service.store import workers
from service.store.engine import Database
from service.store.errors import StoreUnavailable
from service.store.types import utcnow

BROKER_TIMEOUT_S = 2.0


def check_database(database: Database) -> str | None:
    """What is wrong with the database; None if nothing is."""
    try:
        found = migrate.current(database)
    except StoreUnavailable as error:
        return str(error)
    wanted = migrate.head()
    if found != wanted:
        return f"is at revision {found or 'none'}, not {wanted}; run `python -m service.migrate`"
    return None


def check_broker(settings: Settings) -> str | None:
    if settings.broker_url is None:
        return "is not set; set BROKER_URL, or use `spikesmith serve`, which brings its own"
    options = {"socket_timeout": BROKER_TIMEOUT_S, "socket_connect_timeout": BROKER_TIMEOUT_S}
    redis = settings.broker_url.startswith("redis")
    try:
        with Connection(
            settings.broker_url,
            connect_timeout=BROKER_TIMEOUT_S,
            transport_options=options if redis else {},
        ) as connection:
            connection.connect()
            connection.default_channel  # noqa: B018  Redis is spoken to by the first channel only
    except Exception as error:  # every transport has its own exceptions
        return f"does not answer ({type(error).__name__})"
    return None


def check_worker(database: Database, settings: Settings) -> str | None:
    try:
        with database.read() as session:
            alive = workers.count_alive(session, utcnow(), settings.worker_timeout_s)
    except StoreUnavailable:
        return "cannot be seen while the database is away or not migrated"
    return None if alive else "is missing; start one with `spikesmith worker`"


def run_checks(database: Database, settings: Settings) -> dict[str, str | None]:
    """What is wrong with each part; None if nothing is."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": lambda: check_database(database),
        "broker": lambda: check_broker(settings),
        "worker": lambda: check_worker(database, settings),
    }
    return {name: check() for name, check in checks.items()}
