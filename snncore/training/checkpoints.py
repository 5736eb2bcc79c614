"""Checkpoints: safetensors with the resolved spec in their metadata.

Every checkpoint holds the weights under `network/`. The `last` one holds besides what a run needs to go on bit by bit:
Adam's moments, the open tally of the epoch, the best weights so far, and where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from snncore import spec
from snncore.errors import NetworkUnavailable
from snncore.training.archives import from_bytes, read_metadata, to_bytes


@dataclass(slots=True)
class Plateau:
    """What the schedule 'plateau' has seen: the best accuracy, epochs without a better one, and plateaus so far."""

    best: float = -1.0
    epochs: int = 0
    count: int = 0


@dataclass(slots=True)
class Position:
    """Where a run stands. Everything else about the way to go follows from the spec."""

    epoch: int = 1
    batch: int = 0
    """Batches of the epoch that are done."""
    best_epoch: int | None = None
    best: tuple[float, float] | None = None
    """On the validation split, what the weights are chosen by and minus the loss, in this order of importance."""
    plateau: Plateau = field(default_factory=Plateau)
    elapsed_s: float = 0.0
    train: dict[str, float] = field(default_factory=dict)
    """Metrics of the training split over the last whole epoch."""
    phase: str = "training"
    """Which of the descents of the run it is."""
    earlier: dict[str, Any] = field(default_factory=dict)
    """What earlier phases came to, as JSON."""
    trained_before: int = 0
    """Training samples that they were presented."""


@dataclass(slots=True)
class Snapshot:
    """All of a run, in tensors and a position."""

    network: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    tally: dict[str, Tensor]
    best: dict[str, Tensor]
    position: Position


_GROUPS = ("network", "optimiser", "tally", "best")


def weights_to_bytes(job: spec.JobSpec, network: Mapping[str, Tensor], *, kind: str, epoch: int, step: int) -> bytes:
    """A checkpoint that can be used, not resumed."""
    return to_bytes(job, {"network": network}, kind=kind, epoch=epoch, step=step)


def snapshot_to_bytes(job: spec.JobSpec, snapshot: Snapshot, *, epoch: int, step: int) -> bytes:
    """The `last` checkpoint."""
    groups = {group: getattr(snapshot, group) for group in _GROUPS}
    return to_bytes(job, groups, kind="last", epoch=epoch, step=step, position=asdict(snapshot.position))


def snapshot_from_bytes(job: spec.JobSpec, data: bytes) -> Snapshot:
    """What to go on from. Raises `CheckpointMismatch` for damaged bytes, another spec, or another kind."""
    groups, stood = from_bytes(job, data, _GROUPS)
    position = Position(**{**stood, "plateau": Plateau(**stood["plateau"])})
    if position.best is not None:  # JSON knows no tuples
        accuracy, loss = position.best
        position.best = accuracy, loss
    return Snapshot(position=position, **groups)


def embedded_network(job: spec.JobSpec, networks: Mapping[str, bytes]) -> dict[str, Tensor] | None:
    """The weights of the network that `job` embeds, from the checkpoints `networks` by job; None if it embeds none.

    Raises `NetworkUnavailable`.
    """
    needed = spec.needed_jobs(job)
    if not needed:
        return None
    name = needed[0]
    assert isinstance(job.architecture, spec.Recurrent)
    assert job.architecture.embedded is not None
    if name not in networks:
        raise NetworkUnavailable(f"architecture.embedded: the network of job {name} was not given")
    try:
        metadata, tensors = read_metadata(networks[name]), load(networks[name])
        trained = spec.parse_job_spec(json.loads(metadata["spec"]))
        network = spec.embeddable(trained)
    except (SafetensorError, ValueError, KeyError) as error:
        raise NetworkUnavailable(
            f"architecture.embedded: the checkpoint of job {name} cannot be used: {error}"
        ) from error
    if network != job.architecture.embedded.network:
        raise NetworkUnavailable(
            f"architecture.embedded.network: describes another network than job {name} has trained; leave it out, "
            "the service fills it in"
        )
    return {key.removeprefix("network/"): tensor for key, tensor in tensors.items() if key.startswith("network/")}
