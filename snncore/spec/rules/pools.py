"""Decision pools and their teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.dataset import holds_events, n_classes, split_sizes
from snncore.spec.encoding import Poisson
from snncore.spec.pools import CalciumWindows, DecisionPools, TeacherSTDP
from snncore.spec.rules.broken import Broken
from snncore.spec.rules.time import LONGEST_RUN_STEPS
from snncore.spec.task import Classification

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def _parts(spec: JobSpec) -> tuple[DecisionPools, TeacherSTDP]:
    architecture, training = spec.architecture, spec.training
    assert isinstance(architecture, DecisionPools)
    assert isinstance(training, TeacherSTDP)
    return architecture, training


def surroundings(spec: JobSpec) -> Broken:
    if spec.task != Classification(kind="classification"):
        yield ("task",), "must be {'kind': 'classification'}: pools stand for classes, and learn from no loss"
    elif n_classes(spec.dataset) is None or holds_events(spec.dataset):
        yield ("dataset", "kind"), f"must hold features and classes, and {spec.dataset.kind!r} does not"
    elif spec.dataset.kind == "store_recall":
        yield ("dataset", "kind"), "must have one class a sample, and those of 'store_recall' are sequences"
    if not isinstance(spec.encoding, Poisson):
        yield ("encoding", "kind"), "must be 'poisson': the architecture 'decision_pools' takes rates"
    elif spec.encoding.frames > 1:
        yield ("encoding", "frames"), "must be 1: a sample is shown as a whole"
    if spec.device.startswith("cuda"):
        yield ("device",), "must be 'auto' or 'cpu': the architecture 'decision_pools' is simulated on the CPU"


def architecture(spec: JobSpec) -> Broken:
    (architecture, training), dt_ms = _parts(spec), spec.encoding.dt_ms
    loc, steps = ("architecture", "decision", "duration_ms"), architecture.decision.duration_ms / dt_ms
    if steps < 1 or abs(steps - round(steps)) > 1e-6 * steps:
        yield loc, f"must be a whole number of time steps of encoding.dt_ms = {dt_ms:g}"
    elif steps > LONGEST_RUN_STEPS:
        yield loc, f"makes {steps:.0f} time steps, more than {LONGEST_RUN_STEPS}; shorten it or take a larger dt_ms"
    if architecture.neuron.v_reset >= architecture.neuron.v_threshold:
        yield ("architecture", "neuron", "v_reset"), "must lie below v_threshold"
    if training.w_min >= training.w_max:
        yield ("training", "w_min"), f"must lie below w_max = {training.w_max:g}"
    elif not training.w_min <= 0 <= architecture.initial_weight <= training.w_max:
        yield (
            ("architecture", "initial_weight"),
            f"the initial weights, from 0 to {architecture.initial_weight:g}, must lie within training.w_min = "
            f"{training.w_min:g} and w_max = {training.w_max:g}",
        )


def learning(spec: JobSpec) -> Broken:
    _, training = _parts(spec)
    sizes = split_sizes(spec.dataset)
    if training.teacher_rate_hz * spec.encoding.dt_ms > 1000:
        yield (
            ("training", "teacher_rate_hz"),
            f"is more than a spike in each step of {spec.encoding.dt_ms:g} ms; lower it, or encoding.dt_ms",
        )
    if training.calcium is not None:
        yield from _windows(training.calcium)
    if 1 <= sizes["train"] < training.batch_size:
        yield ("training", "batch_size"), f"must not exceed the {sizes['train']} training samples"
    if training.final_weights == "best" and sizes["validation"] == 0:
        yield (
            ("training", "final_weights"),
            "the best weights are chosen on a validation split, and the dataset has none; give it one or take 'last'",
        )


def _windows(windows: CalciumWindows) -> Broken:
    for start, stop in (("up_from", "up_to"), ("down_from", "down_to")):
        if getattr(windows, start) >= getattr(windows, stop):
            yield ("training", "calcium", start), f"must lie below {stop} = {getattr(windows, stop):g}"
