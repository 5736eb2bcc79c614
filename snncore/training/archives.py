"""Tensors in named groups as safetensors, with the resolved spec and the position of the run in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from snncore import spec
from snncore.errors import CheckpointMismatch

FORMAT = "spikesmith-checkpoint/1"

Groups = Mapping[str, Mapping[str, Tensor]]


def to_bytes(
    job: spec.JobSpec, groups: Groups, *, kind: str, epoch: int, step: int, position: Mapping[str, Any] | None = None
) -> bytes:
    """A checkpoint; one that can be resumed from has a `position`."""
    metadata = {
        "format": FORMAT,
        "spec": job.model_dump_json(),
        "kind": kind,
        "epoch": str(epoch),
        "step": str(step),
    }
    if position is not None:
        metadata["position"] = json.dumps(position)
    tensors = {f"{group}/{name}": tensor for group, members in groups.items() for name, tensor in members.items()}
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)


def from_bytes(
    job: spec.JobSpec, data: bytes, groups: Sequence[str]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The groups and the position to go on from. Raises `CheckpointMismatch` for damaged bytes, another spec, or a
    checkpoint without a position."""
    try:
        metadata, tensors = read_metadata(data), load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointMismatch(f"the checkpoint cannot be read: {error}") from error
    if metadata.get("format") != FORMAT or "position" not in metadata:
        raise CheckpointMismatch("only a 'last' checkpoint of this service can be resumed from")
    if not _is_of(job, metadata["spec"]):
        raise CheckpointMismatch("the checkpoint belongs to a job with another spec")
    members = {
        group: {name.removeprefix(f"{group}/"): t for name, t in tensors.items() if name.startswith(f"{group}/")}
        for group in groups
    }
    return members, json.loads(metadata["position"])


def _is_of(job: spec.JobSpec, document: str) -> bool:
    """Whether a spec in a checkpoint means `job`. One that an earlier version wrote lacks fields that came after it."""
    try:
        return spec.parse_job_spec(json.loads(document)) == job
    except spec.SpecError:
        return False


def read_metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: an 8-byte length, then a JSON header that has them under one key."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata
