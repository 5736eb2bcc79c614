"""A typed Python client of the service.

    from service.client import Client

    with Client() as client:
        job = client.submit(preset="digits/lsnn")
        print(client.wait(job.id).state, client.result(job.id)["metrics"])

It speaks HTTP and needs neither torch nor the rest of the service.
"""

from __future__ import annotations

from service.client.arrays import Curve, ReceptiveFields, Spikes
from service.client.chain import ChainedJob
from service.client.client import Client
from service.client.connection import DEFAULT_URL
from service.client.errors import ClientError, FieldError, NothingToDraw, ServiceError, ServiceUnreachable
from service.client.models import (
    TERMINAL,
    CheckpointInfo,
    Dataset,
    Event,
    Illustration,
    Job,
    JobError,
    LogLine,
    Preset,
    Progress,
    RasterInfo,
    Reading,
    ReceptiveFieldsInfo,
    Series,
    Statistic,
    Sweep,
    SweepJob,
    SweepTable,
    TableRow,
    Validation,
    Worker,
)

__all__ = [
    "DEFAULT_URL",
    "TERMINAL",
    "ChainedJob",
    "CheckpointInfo",
    "Client",
    "ClientError",
    "Curve",
    "Dataset",
    "Event",
    "FieldError",
    "Illustration",
    "Job",
    "JobError",
    "LogLine",
    "NothingToDraw",
    "Preset",
    "Progress",
    "RasterInfo",
    "Reading",
    "ReceptiveFields",
    "ReceptiveFieldsInfo",
    "Series",
    "ServiceError",
    "ServiceUnreachable",
    "Spikes",
    "Statistic",
    "Sweep",
    "SweepJob",
    "SweepTable",
    "TableRow",
    "Validation",
    "Worker",
]
