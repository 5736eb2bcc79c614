"""What is allowed and rarely meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import (
    split_sizes,
)
from snncore.spec.encoding import Delta, Latency, Poisson, ThresholdCrossing
from snncore.spec.preparation import PreparedImages
from snncore.spec.training import BPTT
from snncore.spec.uploaded import Uploaded, unshown_as_rates

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def warnings_about(spec: JobSpec) -> list[str]:
    """What is allowed and rarely meant."""
    warnings = []
    encoding, training = spec.encoding, spec.training
    if isinstance(training, BPTT) and training.seed_protocol:
        warnings.append(
            "training: with seed_protocol the weights are chosen on the test split, and what is reported of it is "
            "optimistic"
        )
    if isinstance(encoding, Poisson) and encoding.max_rate_hz * encoding.dt_ms > 1000:
        warnings.append(
            f"encoding: at max_rate_hz = {encoding.max_rate_hz:g} a feature of "
            f"{1000 / (encoding.max_rate_hz * encoding.dt_ms):.2g} already spikes at every step; "
            "larger ones look the same"
        )
    if isinstance(encoding, Poisson) and isinstance(spec.dataset, Uploaded):
        warnings.extend(f"dataset: {what}" for what in unshown_as_rates(spec.dataset))
    if (
        isinstance(spec.dataset, PreparedImages)
        and spec.dataset.standardise is not None
        and isinstance(encoding, Poisson | Latency | ThresholdCrossing)
    ):
        warnings.append(
            f"dataset: with standardise, what lies below the mean is negative, and {encoding.kind!r} makes no spikes "
            "of it; leave it out, or take the encoding 'direct'"
        )
    if isinstance(encoding, ThresholdCrossing | Delta) and encoding.frames == 1:
        warnings.append(
            f"encoding: {encoding.kind!r} shows how features change from frame to frame, and with frames = 1 all "
            "spikes come at the first step; cut the samples into frames, or scan the images"
        )
    if isinstance(training, BPTT) and training.gradient_clip_norm is None and encoding.n_steps > 1_000:
        warnings.append(
            f"training: {encoding.n_steps} time steps without gradient_clip_norm; "
            "gradients through long times can explode"
        )
    if (remainder := split_sizes(spec.dataset)["train"] % training.batch_size) and remainder < training.batch_size // 4:
        warnings.append(f"training: the last batch of each epoch holds {remainder} samples only")
    return warnings
