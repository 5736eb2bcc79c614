"""What is asked of which data and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import (
    StoreRecall,
    n_classes,
    n_features,
)
from snncore.spec.readout import SpikeCountReadout
from snncore.spec.rules.broken import Broken
from snncore.spec.task import Borders, Classification, KWinners, Recall, Softmax

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def task(spec: JobSpec) -> Broken:
    task, features = spec.task, n_features(spec.dataset) // spec.encoding.frames
    match task:
        case Classification() if n_classes(spec.dataset) is None:
            yield ("task", "kind"), f"classification needs a dataset with classes; {spec.dataset.kind!r} has none"
        case Classification() if isinstance(spec.dataset, StoreRecall):
            yield (
                ("task", "kind"),
                "the dataset 'store_recall' has a class in every recall slot; take the task 'recall'",
            )
        case Recall() if not isinstance(spec.dataset, StoreRecall):
            yield (
                ("task", "kind"),
                f"'recall' needs the dataset 'store_recall', with a class for single frames; not {spec.dataset.kind!r}",
            )
        case Softmax() | KWinners() if spec.encoding.frames > 1:
            yield ("encoding", "frames"), f"must be 1: the task {task.kind!r} is about all features of a sample at once"
    if isinstance(task, Recall) != spec.layered.readout.by_frame:
        field = "by_frame" if isinstance(spec.layered.readout, SpikeCountReadout) else "reduction"
        wanted = "the task 'recall' wants" if isinstance(task, Recall) else "only the task 'recall' can use"
        yield (
            ("architecture", "readout", field),
            f"{wanted} an output for each frame: readout 'spike_count' with by_frame, or 'leaky' with 'mean_by_frame'",
        )
    if isinstance(task, Classification | Recall):
        if task.loss in ("rate_mse", "borders") and not isinstance(spec.layered.readout, SpikeCountReadout):
            yield ("task", "loss"), f"{task.loss!r} compares firing rates; take the readout 'spike_count'"
        if task.loss != "rate_mse" and task.rate_scale_hz != Classification(kind="classification").rate_scale_hz:
            yield ("task", "rate_scale_hz"), "has an effect with the loss 'rate_mse' only"
        if task.loss != "borders" and task.borders != Borders():
            yield ("task", "borders"), "has an effect with the loss 'borders' only"
    borders = None if isinstance(task, Softmax) else task.borders
    if borders is not None and borders.zero_hz >= borders.one_hz:
        yield ("task", "borders", "zero_hz"), f"must lie below one_hz = {borders.one_hz:g}"
    match task:
        case KWinners():
            if not task.borders.zero_hz <= task.decision_hz < task.borders.one_hz:
                yield (
                    ("task", "decision_hz"),
                    f"must lie between borders.zero_hz = {task.borders.zero_hz:g} and one_hz = {task.borders.one_hz:g}",
                )
            if task.k >= task.n_outputs:
                yield ("task", "k"), f"must be fewer than n_outputs = {task.n_outputs}"
            if task.n_outputs != features:
                yield (
                    ("task", "n_outputs"),
                    f"must be the number of features, and the dataset {spec.dataset.kind!r} has {features}",
                )
            if not isinstance(spec.layered.readout, SpikeCountReadout):
                yield (
                    ("architecture", "readout", "kind"),
                    "the task 'k_winners' compares firing rates; take the readout 'spike_count'",
                )
        case Softmax():
            needed = {"identity": task.n_outputs, "difference": 2 * task.n_outputs}.get(task.mapping, features)
            if needed != features:
                yield (
                    ("task", "n_outputs"),
                    f"{task.n_outputs} outputs of the mapping {task.mapping!r} need {needed} features, "
                    f"the dataset {spec.dataset.kind!r} has {features}",
                )
            if not isinstance(spec.layered.readout, SpikeCountReadout):
                yield (
                    ("architecture", "readout", "kind"),
                    "the softmax task compares firing rates; take the readout 'spike_count'",
                )
