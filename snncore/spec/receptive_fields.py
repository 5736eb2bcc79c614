"""Receptive fields: which weights they are, and when they are pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import image_shape
from snncore.spec.encoding import inputs_a_feature
from snncore.spec.matrices import WeightMatrix, weight_matrices
from snncore.spec.recording import RecordReceptiveFields, RecordSpikes

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def fields_asked(spec: JobSpec, epoch: int, *, last: bool) -> RecordReceptiveFields | None:
    """What the job wants of receptive fields after an epoch (0: before the first), and whether it was the `last`."""
    recording = spec.recording
    asked = recording.receptive_fields if isinstance(recording, RecordSpikes) else None
    return asked if asked is not None and (last or epoch % asked.every_epochs == 0) else None


def input_matrix(spec: JobSpec) -> WeightMatrix | None:
    """The weights that the input arrives at; None where something else than synapses does."""
    return next((matrix for matrix in weight_matrices(spec) if matrix.sender == "input"), None)


def picture_shape(spec: JobSpec) -> tuple[int, int, int] | None:
    """Height, width and channels of the picture that the input neurons are; None where they are no picture."""
    whole = spec.encoding.frames == 1 and inputs_a_feature(spec.encoding) == 1
    return image_shape(spec.dataset) if whole else None
