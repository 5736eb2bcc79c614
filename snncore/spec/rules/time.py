"""The time axis: steps, frames, images shown over time, events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import (
    holds_events,
    image_shape,
    n_features,
)
from snncore.spec.encoding import Delta, Events
from snncore.spec.rules.broken import Broken
from snncore.spec.task import KWinners, Softmax

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

LONGEST_RUN_STEPS = 100_000


def time_axis(spec: JobSpec) -> Broken:
    encoding = spec.encoding
    steps = encoding.duration_ms / encoding.dt_ms
    if steps < 1:
        yield ("encoding", "duration_ms"), f"must be at least one time step, dt_ms = {encoding.dt_ms:g}"
    elif abs(steps - round(steps)) > 1e-6 * steps:
        yield ("encoding", "duration_ms"), f"must be a whole number of time steps of dt_ms = {encoding.dt_ms:g}"
    if steps > LONGEST_RUN_STEPS:
        yield (
            ("encoding", "duration_ms"),
            f"makes {steps:.0f} time steps, more than {LONGEST_RUN_STEPS}; shorten it or take a larger dt_ms",
        )
    elif steps >= 1 and encoding.n_steps % encoding.frames:
        yield (
            ("encoding", "frames"),
            f"each frame must be shown for a whole number of time steps, and {encoding.n_steps} steps make no "
            f"{encoding.frames} equal frames",
        )
    if encoding.scan is None and n_features(spec.dataset) % encoding.frames:
        yield (
            ("encoding", "frames"),
            f"the {n_features(spec.dataset)} features of the dataset {spec.dataset.kind!r} make no {encoding.frames} "
            "equal frames",
        )


def scan(spec: JobSpec) -> Broken:
    encoding, kind = spec.encoding, spec.dataset.kind
    if encoding.scan is None:
        return
    shape = image_shape(spec.dataset)
    if shape is None:
        yield ("encoding", "scan"), f"the dataset {kind!r} has no images; leave it out, or take a dataset that has"
        return
    height, width, _ = shape
    wanted, side = (width, "width") if encoding.scan == "columns" else (height, "height")
    if encoding.frames != wanted:
        yield (
            ("encoding", "frames"),
            f"must be {wanted} with scan {encoding.scan!r}: the {side} of the images of the dataset {kind!r}",
        )


def changes(spec: JobSpec) -> Broken:
    encoding = spec.encoding
    if isinstance(encoding, Delta) and encoding.before_first == "same" and encoding.frames == 1:
        yield (
            ("encoding", "frames"),
            "must be 2 at least where the first frame is compared with itself: in a single frame nothing changes",
        )


def events(spec: JobSpec) -> Broken:
    kind, has_events = spec.dataset.kind, holds_events(spec.dataset)
    if has_events and not isinstance(spec.encoding, Events):
        yield ("encoding", "kind"), f"the samples of the dataset {kind!r} are events; take the encoding 'events'"
    if isinstance(spec.encoding, Events) and not has_events:
        yield (
            ("encoding", "kind"),
            f"'events' needs a dataset of events, and the samples of {kind!r} are features; take 'poisson', or another "
            "that makes spikes of them",
        )
    if has_events and isinstance(spec.task, Softmax | KWinners):
        yield (
            ("task", "kind"),
            f"{spec.task.kind!r} is about features, and the samples of the dataset {kind!r} are events; take "
            "'classification'",
        )
