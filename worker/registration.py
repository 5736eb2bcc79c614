"""This worker's row in the list of workers."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from service.store import workers
from service.store.engine import Database
from service.store.errors import StoreUnavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerInfo:
    """What the others see of this worker."""

    hostname: str
    pid: int
    device: str
    threads: int
    slots: int


class Registration:
    """Signs on, keeps the row alive, signs off. `id` is what leases are held under."""

    def __init__(self, database: Database, info: WorkerInfo) -> None:
        self._database = database
        self._info = info
        self.id = self._sign_on()

    def _sign_on(self) -> str:
        return workers.register(self._database, **asdict(self._info))

    def beat(self) -> None:
        """Say that this worker lives. One that was taken for dead signs on again."""
        if not workers.heartbeat(self._database, self.id):
            self.id = self._sign_on()

    def sign_off(self) -> None:
        """Leave the list; if the store is away, the row is forgotten later."""
        try:
            workers.remove(self._database, self.id)
        except StoreUnavailable as error:
            logger.warning("could not sign off: %s", error)
