"""When a run stops before its end, and when it leaves a checkpoint on its way."""

from __future__ import annotations

import time
from collections.abc import Callable


class Interruptions:
    """Asks `should_stop` for a reason, until it has one; calls for a checkpoint about every `checkpoint_interval_s`.

    `elapsed_before_s` is the wall time that earlier attempts of a resumed run took.
    """

    def __init__(self, should_stop: Callable[[], str | None], checkpoint_interval_s: float) -> None:
        self._should_stop = should_stop
        self._interval_s = checkpoint_interval_s
        self._began = self._checkpointed_at = time.monotonic()
        self.elapsed_before_s = 0.0
        self.reason: str | None = None

    def stopping(self) -> bool:
        """Whether the run has to stop; `reason` says why."""
        self.reason = self.reason or self._should_stop()
        return self.reason is not None

    def checkpoint_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._checkpointed_at >= self._interval_s

    def checkpointed(self) -> None:
        """A checkpoint was made just now."""
        self._checkpointed_at = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run, with that of earlier attempts."""
        return self.elapsed_before_s + time.monotonic() - self._began
