"""The receptive fields of a network that is trained by its gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncore import spec
from snncore.events import ReceptiveFields
from snncore.networks import AnyNetwork


def receptive_fields(
    job: spec.JobSpec, network: AnyNetwork, epoch: int, step: int, *, last: bool = False
) -> Iterator[ReceptiveFields]:
    """The weights on the input after an epoch, 0 being before the first, where the job asks for them then."""
    asked = spec.fields_asked(job, epoch, last=last)
    if asked is None:
        return
    matrix = spec.input_matrix(job)
    assert matrix is not None  # by the rules of the spec
    weights = network.matrices[matrix.name].weight.detach()[: asked.n_neurons]
    yield ReceptiveFields(
        epoch=epoch,
        step=step,
        layer=matrix.name.partition("/")[0],
        shape=spec.picture_shape(job),
        weights=weights.cpu().numpy().astype(np.float32),
    )
