"""The tables. Their history is in `migrations/`; a test keeps the two equal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.store.types import UtcDateTime, utcnow

Id = String(40)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        bytes: LargeBinary(),
        str: Text(),
    }


def _job_id(*, primary_key: bool = False) -> Mapped[str]:
    return mapped_column(Id, ForeignKey("job.id", ondelete="CASCADE"), primary_key=primary_key)


class ApiKey(Base):
    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    revoked_at: Mapped[datetime | None]


class Job(Base):
    __tablename__ = "job"
    __table_args__ = (
        Index(None, "state", "id"),
        Index(None, "state", "queued_at"),
        Index(None, "state", "lease_expires_at"),
        Index(None, "preset", "id"),
        Index(None, "sweep", "id"),
        Index(None, "api_key_id", "state"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]]
    """Resolved: every default is filled in."""
    preset: Mapped[str | None] = mapped_column(String(200))
    sweep: Mapped[str | None] = mapped_column(Id)
    api_key_id: Mapped[str | None] = mapped_column(Id, ForeignKey("api_key.id", ondelete="SET NULL"))

    attempt: Mapped[int] = mapped_column(default=0)
    """Fencing number: grows with each claim, and only writes that carry the current one are taken."""
    crashes: Mapped[int] = mapped_column(default=0)
    """Attempts lost since the last new checkpoint."""
    lease_owner: Mapped[str | None] = mapped_column(Id)
    lease_expires_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]

    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    queued_at: Mapped[datetime] = mapped_column(default=utcnow)
    dispatched_at: Mapped[datetime | None]
    """When the doorbell was rung last; NULL: not yet, housekeeping has to."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    progress: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None]
    result: Mapped[dict[str, Any] | None]
    next_event_seq: Mapped[int] = mapped_column(default=1)


class JobNeed(Base):
    """A job whose training needs the trained network of another one, which therefore has to stay."""

    __tablename__ = "job_need"

    job_id: Mapped[str] = _job_id(primary_key=True)
    needed_job_id: Mapped[str] = mapped_column(
        Id, ForeignKey("job.id", ondelete="RESTRICT"), primary_key=True, index=True
    )


class Sweep(Base):
    """Many jobs made by one request: a job for each point of a grid and each seed."""

    __tablename__ = "sweep"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    labels: Mapped[dict[str, Any]]
    request: Mapped[dict[str, Any]]
    """What was asked for, without name and labels."""
    max_parallel: Mapped[int | None]
    """Most of its jobs that may be run at a time. Whoever claims one locks this row first."""
    api_key_id: Mapped[str | None] = mapped_column(Id, ForeignKey("api_key.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class SweepJob(Base):
    """What a job is in its sweep."""

    __tablename__ = "sweep_job"
    __table_args__ = (Index(None, "sweep_id", "position", "seed"),)

    job_id: Mapped[str] = _job_id(primary_key=True)
    sweep_id: Mapped[str] = mapped_column(Id, ForeignKey("sweep.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(16))
    position: Mapped[int]
    """Of its grid point among all points of the sweep: the row of the table."""
    point: Mapped[dict[str, Any]]
    """The fields that the grid point sets, with their values."""
    seed: Mapped[int] = mapped_column(BigInteger)


class JobLabel(Base):
    __tablename__ = "job_label"
    __table_args__ = (Index(None, "key", "value", "job_id"),)

    job_id: Mapped[str] = _job_id(primary_key=True)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class JobEvent(Base):
    __tablename__ = "job_event"
    __table_args__ = (Index(None, "job_id", "type", "seq"),)

    job_id: Mapped[str] = _job_id(primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(default=utcnow)
    data: Mapped[dict[str, Any]]


class MetricSeries(Base):
    """One curve, with the summary that lists are made of."""

    __tablename__ = "metric_series"
    __table_args__ = (UniqueConstraint("job_id", "name", "split"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = _job_id()
    name: Mapped[str] = mapped_column(String(200))
    split: Mapped[str] = mapped_column(String(32))
    unit: Mapped[str] = mapped_column(String(32))
    better: Mapped[str | None] = mapped_column(String(3))
    count: Mapped[int]
    last: Mapped[float | None]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    min: Mapped[float | None]
    max: Mapped[float | None]
    best_step: Mapped[int | None] = mapped_column(BigInteger)


class MetricPoint(Base):
    __tablename__ = "metric_point"
    __table_args__ = ({"sqlite_with_rowid": False},)

    series_id: Mapped[str] = mapped_column(Id, ForeignKey("metric_series.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    epoch: Mapped[int]
    value: Mapped[float | None]
    """NULL where the value was not finite."""
    at: Mapped[datetime]


class Raster(Base):
    __tablename__ = "raster"
    __table_args__ = (UniqueConstraint("job_id", "epoch", "split", "layer", "sample"), Index(None, "job_id", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = _job_id()
    attempt: Mapped[int]
    epoch: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    split: Mapped[str] = mapped_column(String(32))
    layer: Mapped[str] = mapped_column(String(100))
    sample: Mapped[int] = mapped_column(BigInteger)
    label: Mapped[int | None] = mapped_column(BigInteger)
    prediction: Mapped[int | None] = mapped_column(BigInteger)
    n_steps: Mapped[int]
    n_neurons: Mapped[int]
    dt_ms: Mapped[float]
    n_spikes: Mapped[int] = mapped_column(BigInteger)
    reading: Mapped[dict[str, Any] | None]
    """What was read out of the layer; on the last one of a sample only."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class RasterChunk(Base):
    """A block `[t_start:t_stop, n_start:n_stop]` of a raster, bit-packed along neurons and compressed."""

    __tablename__ = "raster_chunk"

    raster_id: Mapped[str] = mapped_column(Id, ForeignKey("raster.id", ondelete="CASCADE"), primary_key=True)
    t_start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    n_start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    t_stop: Mapped[int]
    n_stop: Mapped[int]
    data: Mapped[bytes]
    sha256: Mapped[str] = mapped_column(String(64))


class ReceptiveField(Base):
    """The incoming weights of the neurons of a layer after a step."""

    __tablename__ = "receptive_field"
    __table_args__ = (UniqueConstraint("job_id", "step", "layer"), Index(None, "job_id", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = _job_id()
    attempt: Mapped[int]
    epoch: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    layer: Mapped[str] = mapped_column(String(100))
    n_neurons: Mapped[int]
    n_features: Mapped[int]
    shape: Mapped[list[Any] | None]
    """Height, width and channels of the picture that the features are."""
    low: Mapped[float | None]
    high: Mapped[float | None]
    """Smallest and largest weight; NULL where none is finite."""
    labels: Mapped[list[Any] | None]
    """The class that each neuron stands for."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class ReceptiveFieldChunk(Base):
    """The weights of the neurons `[n_start:n_stop]`, compressed."""

    __tablename__ = "receptive_field_chunk"

    receptive_field_id: Mapped[str] = mapped_column(
        Id, ForeignKey("receptive_field.id", ondelete="CASCADE"), primary_key=True
    )
    n_start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    n_stop: Mapped[int]
    data: Mapped[bytes]
    sha256: Mapped[str] = mapped_column(String(64))


class Checkpoint(Base):
    """One row each for `best` and `last`, and one an epoch for `periodic`."""

    __tablename__ = "checkpoint"
    __table_args__ = (UniqueConstraint("job_id", "kind", "epoch"), Index(None, "job_id", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = _job_id()
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class CheckpointBlob(Base):
    __tablename__ = "checkpoint_blob"

    checkpoint_id: Mapped[str] = mapped_column(Id, ForeignKey("checkpoint.id", ondelete="CASCADE"), primary_key=True)
    data: Mapped[bytes]


class Dataset(Base):
    """An uploaded dataset."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(String(63), unique=True)
    """NULL while its file is being stored."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    contents: Mapped[dict[str, Any]]
    """As a job spec has it."""
    classes: Mapped[list[Any] | None]
    """Name and number of samples of each class."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class DatasetChunk(Base):
    """A piece of an uploaded file."""

    __tablename__ = "dataset_chunk"

    dataset_id: Mapped[str] = mapped_column(Id, ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    data: Mapped[bytes]


class JobDataset(Base):
    """A job that trains on an uploaded file. It stays when the file is removed, and finds it when it comes back."""

    __tablename__ = "job_dataset"

    job_id: Mapped[str] = _job_id(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)


class Worker(Base):
    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    hostname: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(200))
    threads: Mapped[int]
    slots: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]


class Idempotency(Base):
    """A request that was answered, or (while `response` is NULL) is being answered."""

    __tablename__ = "idempotency"

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(Id, ForeignKey("job.id", ondelete="CASCADE"), index=True)
    sweep_id: Mapped[str | None] = mapped_column(Id, ForeignKey("sweep.id", ondelete="CASCADE"), index=True)
    """What the request made, a job or a sweep: the answer goes with it."""
    response: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
