"""Every environment variable that Spikesmith reads, in one place.

Names are the field's name in capitals behind `SPIKESMITH_`, with two exceptions that every platform knows by another
name: `DATABASE_URL` and `BROKER_URL`. A `.env` file in the working directory is read too; the environment wins.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="SPIKESMITH_", env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True
    )

    # Where things are
    home: Path = Field(
        default_factory=lambda: Path.home() / ".spikesmith",
        description="Folder with all state of the embedded default: the SQLite file, locks, logs.",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "SPIKESMITH_DATABASE_URL"),
        description="postgresql://... or sqlite:///...; unset: a SQLite file in `home`.",
    )
    broker_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("BROKER_URL", "SPIKESMITH_BROKER_URL"),
        description="redis://, redis+socket:// or amqp://. `spikesmith serve` starts a private Redis when it is unset.",
    )

    # HTTP
    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8321, ge=0, le=65_535, description="Port that the API listens on.")
    auth: Literal["auto", "on", "off"] = Field(
        default="auto", description="API keys: 'auto' asks for them unless the API listens on loopback only."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least that is logged.")

    # Limits of what a client may ask for
    max_body_bytes: int = Field(default=4 * 2**20, ge=1024, description="Largest request body, but for uploads.")
    max_upload_bytes: int = Field(default=2**30, ge=1024, description="Largest file of a dataset that is uploaded.")
    max_dataset_bytes: int = Field(
        default=8 * 2**30, ge=1024, description="Largest uploaded dataset once it is unpacked."
    )
    max_peak_memory_bytes: int = Field(
        default=16 * 2**30, ge=2**20, description="Largest estimated peak memory of one job."
    )
    max_total_steps: int = Field(
        default=100_000_000, ge=1, description="Most optimiser steps that one job may ask for, by the estimate."
    )
    max_queued_jobs: int = Field(default=1000, ge=1, description="Most jobs waiting in the queue for one API key.")
    max_sweep_jobs: int = Field(default=1000, ge=1, description="Most jobs of one sweep.")
    max_dense_bytes: int = Field(
        default=2**28, ge=2**16, description="Largest dense array or list that one raster answer may be made of."
    )

    # Store
    busy_timeout_ms: int = Field(default=5000, ge=0, description="How long a statement waits for a lock.")
    idempotency_ttl_s: float = Field(default=7 * 86_400.0, gt=0, description="How long an Idempotency-Key is kept.")

    # Events
    sse_poll_s: Seconds = Field(default=0.25, description="How often an event stream looks for news.")

    # Worker
    slots: int = Field(default=1, ge=1, le=256, description="Jobs that one worker trains at a time.")
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads of one trainer; unset: as many of its share of the cores as help the job.",
    )
    lease_s: Seconds = Field(default=60.0, description="A running job unheard of for so long goes back to the queue.")
    lease_renew_s: Seconds = Field(default=10.0, description="How often a supervisor renews its lease.")
    heartbeat_s: Seconds = Field(default=5.0, description="How often a worker says that it is alive.")
    worker_timeout_s: Seconds = Field(default=30.0, description="A worker unheard of for so long counts as gone.")
    supervise_s: Seconds = Field(default=0.25, description="How often a supervisor looks after its trainer.")
    flush_s: Seconds = Field(default=0.5, description="Longest time that recorded events wait to be written.")
    checkpoint_interval_s: Seconds = Field(default=60.0, description="Distance of 'last' checkpoints in a running job.")
    sweep_s: Seconds = Field(default=5.0, description="How often workers look for queued jobs whose message was lost.")
    redispatch_s: Seconds = Field(default=15.0, description="Age of a message after which an idle worker rings again.")
    stop_grace_s: Seconds = Field(default=30.0, description="Time for a job to cancel or pause before it is signalled.")
    kill_grace_s: Seconds = Field(default=10.0, description="Time between SIGTERM and SIGKILL of a trainer.")
    shutdown_grace_s: Seconds = Field(default=60.0, description="Time for trainers to checkpoint on shutdown.")
    max_crashes: int = Field(
        default=3, ge=1, le=100, description="Attempts that may be lost without a new checkpoint before a job fails."
    )
    store_patience_s: Seconds = Field(
        default=300.0, description="How long a worker keeps trying to write to a store that is locked or away."
    )

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home.expanduser().absolute() / 'spikesmith.db'}"

    @property
    def auth_required(self) -> bool:
        if self.auth == "auto":
            return not is_loopback(self.host)
        return self.auth == "on"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach `host`."""
    if host == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache
def get_settings() -> Settings:
    return Settings()
