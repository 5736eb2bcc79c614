"""Calls about sweeps."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from service.client.connection import Connection
from service.client.models import Sweep, SweepTable

MARKDOWN = "text/markdown"


class SweepCalls(Connection):
    """Many jobs that are made, counted and stopped together."""

    def submit_sweep(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        preset: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        seeds: Sequence[int] | None = None,
        max_parallel: int | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sweep:
        """Queues a job for each combination of grid values and each seed.

        `grid` has the values of each path (`{"training.epochs": [5, 10]}`), `points` fields that change together.
        Where a `preset` is a sweep, its grid and its seeds stand in for those that are absent.
        Sent twice with the same `idempotency_key` (a fresh one is made when absent), it makes one sweep.
        """
        given = {
            "spec": spec,
            "preset": preset,
            "overrides": overrides,
            "grid": grid,
            "points": points,
            "seeds": seeds,
            "max_parallel": max_parallel,
            "name": name,
            "labels": labels,
        }
        body = {key: value for key, value in given.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        response = self._transport.request("POST", "/v1/sweeps", body=body, headers=headers, repeatable=True)
        return Sweep.of(response.json())

    def sweep(self, sweep_id: str) -> Sweep:
        """The sweep with its jobs."""
        return Sweep.of(self._json(_sweep(sweep_id)))

    def sweeps(self, *, page_size: int | None = None) -> Iterator[Sweep]:
        """All sweeps, newest first, without their jobs."""
        return (Sweep.of(item) for item in self._pages("/v1/sweeps", {"limit": page_size}))

    def sweep_table(self, sweep_id: str) -> SweepTable:
        """Mean, standard deviation and confidence of each final metric, for each grid point."""
        return SweepTable.of(self._json(f"{_sweep(sweep_id)}/table"))

    def sweep_table_text(self, sweep_id: str, media_type: str = MARKDOWN) -> str:
        """The table as `text/markdown` (the main metrics), `text/csv` or `application/json` (all there is)."""
        headers = {"Accept": media_type}
        return self._transport.request("GET", f"{_sweep(sweep_id)}/table", headers=headers).text

    def cancel_sweep(self, sweep_id: str) -> Sweep:
        """Asks all jobs that have not ended to stop."""
        return Sweep.of(self._transport.request("POST", f"{_sweep(sweep_id)}/cancel").json())

    def resume_sweep(self, sweep_id: str) -> Sweep:
        """Lets all paused, cancelled and failed jobs go on from their last checkpoints."""
        return Sweep.of(self._transport.request("POST", f"{_sweep(sweep_id)}/resume").json())

    def delete_sweep(self, sweep_id: str) -> None:
        """Removes a sweep whose jobs have all ended, with the jobs."""
        self._transport.request("DELETE", _sweep(sweep_id))

    def wait_sweep(self, sweep_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0) -> Sweep:
        """The sweep once all its jobs have ended, however. Raises `TimeoutError` after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (sweep := self.sweep(sweep_id)).is_finished:
            if deadline is not None and time.monotonic() + poll_s > deadline:
                raise TimeoutError(f"{sweep_id} has {sweep.n_ended} of {sweep.n_jobs} jobs done after {timeout_s:g} s")
            time.sleep(poll_s)
        return sweep


def _sweep(sweep_id: str) -> str:
    return f"/v1/sweeps/{quote(sweep_id, safe='')}"
