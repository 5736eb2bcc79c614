"""What is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.receptive_fields import input_matrix
from snncore.spec.recording import RecordSpikes
from snncore.spec.rules.broken import Broken

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def recording(spec: JobSpec) -> Broken:
    recording = spec.recording
    if isinstance(recording, RecordSpikes) and recording.receptive_fields is not None and input_matrix(spec) is None:
        yield (
            ("recording", "receptive_fields"),
            "has no effect: no matrix of weights stands on the input; begin with a 'dense' layer, or leave it out",
        )
