"""Events about what a split or a batch came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from snncore import spec
from snncore.events import Log, Metric, Raster, Split
from snncore.training.evaluation import Evaluation
from snncore.training.tally import Tally


def split_series(
    job: spec.JobSpec, split: Split, tally: Tally, *, step: int, epoch: int, prefix: str = ""
) -> Iterator[Metric]:
    """The metrics of a split, a point of each series."""
    duration = job.encoding.duration_ms
    yield Metric(f"{prefix}loss", split, step, epoch, tally.loss, loss_unit(job), "min")
    yield Metric(f"{prefix}accuracy", split, step, epoch, tally.accuracy, "", "max")
    if (probability := tally.true_label_probability) is not None:
        yield Metric(f"{prefix}true_label_probability", split, step, epoch, probability, "", "max")
    if tally.ceiling is not None:
        yield Metric(f"{prefix}ceiling_accuracy", split, step, epoch, tally.ceiling, "", "max")
    for layer in tally.layers():
        if layer != "input":
            yield Metric(f"{prefix}firing_rate_hz.{layer}", split, step, epoch, tally.rate_hz(layer, duration), "Hz")


def rasters(job: spec.JobSpec, split: Split, evaluation: Evaluation, *, step: int, epoch: int) -> Iterator[Raster]:
    """The rasters that an evaluation kept."""
    for raster in evaluation.rasters:
        yield Raster(
            epoch=epoch,
            step=step,
            split=split,
            layer=raster.layer,
            sample=raster.sample,
            label=raster.label,
            prediction=raster.prediction,
            dt_ms=job.encoding.dt_ms,
            spikes=raster.spikes,
            reading=raster.reading,
        )


def activity_warnings(job: spec.JobSpec, counts: Mapping[str, Tensor]) -> Iterator[Log]:
    """A network that starts silent, or saturated, trains to nothing: say so after the first batch."""
    for layer, count in counts.items():
        share = float(count.detach().mean()) / job.encoding.n_steps
        hint = "; raise the input (encoding, weights gain) or lower v_threshold"
        if share == 0:
            yield Log("warning", f"layer {layer!r} fired no spike in the first batch and may never learn{hint}")
        elif share > 0.9:
            yield Log("warning", f"layer {layer!r} fires in {share:.0%} of all steps and hardly carries information")


def loss_unit(job: spec.JobSpec) -> str:
    """Of the loss of the task."""
    match job.task:
        case spec.Softmax():
            return "Hz^2"
        case spec.KWinners():
            return "Hz"
        case task:
            return "Hz" if task.loss == "borders" else ""
