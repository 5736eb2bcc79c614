"""Cross-field rules: combinations of parts that are each valid and cannot work together."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from snncore.spec.architecture import Recurrent
from snncore.spec.dataset import (
    MNIST,
    Digits,
    FashionMNIST,
    Flowers102,
    ImageFiles,
    ImageFolder,
    StoreRecall,
    image_shape,
    n_classes,
    n_features,
    split_sizes,
)
from snncore.spec.encoding import Delta, Poisson, ThresholdCrossing
from snncore.spec.errors import Location, Problem
from snncore.spec.estimate import layer_shapes
from snncore.spec.image_cut import broken_cut
from snncore.spec.matrices import most_synapses, rewired_matrices, weight_matrices
from snncore.spec.neuron import ALIF, LIF, SHARED_IN_A_LAYER, LIFUnit, Mixed, Neuron, Range
from snncore.spec.readout import LeakyReadout, SpikeCountReadout
from snncore.spec.sequential import LSTM, Dense, Sequential, Spiking
from snncore.spec.synapses import ConstantDelay, Delay, UniformDelay
from snncore.spec.task import Borders, Classification, KWinners, Recall, Softmax, has_class_probabilities
from snncore.spec.training import CheckpointedBackward, CosineDecay, PlateauDecay
from snncore.spec.uploaded import Uploaded, broken_upload, unshown_as_rates

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

LONGEST_RUN_STEPS = 100_000


def broken_rules(spec: JobSpec) -> list[Problem]:
    """Everything about `spec` that cannot work, at once."""
    return [
        Problem(loc, msg, "inconsistent")
        for rule in (
            _time_axis,
            _scan,
            _changes,
            _dataset,
            _task,
            _neurons,
            _delays,
            _readout,
            _embedded,
            _training,
            _rewiring,
            _engine,
        )
        for loc, msg in rule(spec)
    ]


_Broken = Iterator[tuple[Location, str]]


def _time_axis(spec: JobSpec) -> _Broken:
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


def _scan(spec: JobSpec) -> _Broken:
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


def _changes(spec: JobSpec) -> _Broken:
    encoding = spec.encoding
    if isinstance(encoding, Delta) and encoding.before_first == "same" and encoding.frames == 1:
        yield (
            ("encoding", "frames"),
            "must be 2 at least where the first frame is compared with itself: in a single frame nothing changes",
        )


def _dataset(spec: JobSpec) -> _Broken:
    dataset = spec.dataset
    sizes = split_sizes(dataset)
    match dataset:
        case Digits() if sizes["train"] < 1 or sizes["test"] < 1:
            yield (
                ("dataset", "test_fraction"),
                "leaves an empty split: test_fraction + validation_fraction must stay below 1, "
                "and each split that is asked for must hold a sample",
            )
        case MNIST() | FashionMNIST() if dataset.n_train + dataset.n_validation > 60_000:
            yield (
                ("dataset", "n_validation"),
                "n_train + n_validation must not exceed the 60,000 training images",
            )
        case ImageFiles():
            yield from _images(dataset)
        case StoreRecall() if spec.encoding.frames != dataset.n_slots:
            yield ("encoding", "frames"), f"must be dataset.n_slots = {dataset.n_slots}: a frame for each slot"
        case Uploaded():
            for fields, msg in broken_upload(dataset):
                yield ("dataset", *fields), msg


def _images(dataset: ImageFolder | Flowers102) -> _Broken:
    for split, size in split_sizes(dataset).items():
        if size % dataset.n_classes:
            yield (
                ("dataset", f"n_{split}"),
                f"must be a multiple of n_classes = {dataset.n_classes}, so that each class has as many images",
            )
    for field, msg in broken_cut(dataset):
        yield ("dataset", field), msg
    if isinstance(dataset, ImageFolder) and dataset.classes is not None:
        if len(dataset.classes) != dataset.n_classes:
            yield ("dataset", "classes"), f"names {len(dataset.classes)} classes, and n_classes is {dataset.n_classes}"
        if len(set(dataset.classes)) < len(dataset.classes):
            yield ("dataset", "classes"), "names a class twice"


def _task(spec: JobSpec) -> _Broken:
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
    if isinstance(task, Recall) != spec.architecture.readout.by_frame:
        field = "by_frame" if isinstance(spec.architecture.readout, SpikeCountReadout) else "reduction"
        wanted = "the task 'recall' wants" if isinstance(task, Recall) else "only the task 'recall' can use"
        yield (
            ("architecture", "readout", field),
            f"{wanted} an output for each frame: readout 'spike_count' with by_frame, or 'leaky' with 'mean_by_frame'",
        )
    if isinstance(task, Classification | Recall):
        if task.loss in ("rate_mse", "borders") and not isinstance(spec.architecture.readout, SpikeCountReadout):
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
            if not isinstance(spec.architecture.readout, SpikeCountReadout):
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
            if not isinstance(spec.architecture.readout, SpikeCountReadout):
                yield (
                    ("architecture", "readout", "kind"),
                    "the softmax task compares firing rates; take the readout 'spike_count'",
                )


def _neurons(spec: JobSpec) -> _Broken:
    own: list[tuple[Location, Neuron]] = []
    shared = True
    if isinstance(spec.architecture, Sequential):
        layers = [(i, layer) for i, layer in enumerate(spec.architecture.layers) if isinstance(layer, Spiking)]
        own = [(("architecture", "layers", i, "neuron"), layer.neuron) for i, layer in layers if layer.neuron]
        counted = isinstance(spec.architecture.readout, SpikeCountReadout)
        shared = counted or len(own) < len(layers)
    if shared and spec.neuron is None:
        yield ("neuron",), "is missing: the neurons of spiking layers that have none of their own are of this kind"
    elif spec.neuron is not None and not shared:
        yield ("neuron",), "has no effect: every spiking layer has a neuron of its own, or there is none; leave it out"
    for loc, neuron in [(("neuron",), spec.neuron), *own]:
        if isinstance(neuron, LIFUnit):
            yield from _unit(spec, loc, neuron)
        elif neuron is not None:
            yield from _members(loc, neuron)


def _unit(spec: JobSpec, loc: Location, unit: LIFUnit) -> _Broken:
    for name, lowest, highest in (("w_input", -inf, inf), ("w_leak", 0.0, 1.0)):
        value = getattr(unit, name)
        low, high = (value.low, value.high) if isinstance(value, Range) else (value, value)
        if low > high:
            yield (*loc, name, "high"), f"must not be below low = {low:g}"
        if low < lowest or high > highest:
            yield (*loc, name), f"must lie between {lowest:g} and {highest:g}: it is the share that leaks in a step"
        if name == "w_input" and low == high == 0:
            yield (*loc, name), "must not be 0: no input would reach the unit, and no gradient its weight"
    if unit.sharing == "channel" and image_shape(spec.dataset) is None:
        yield (*loc, "sharing"), f"'channel' needs a dataset of images, and {spec.dataset.kind!r} is none"
    elif unit.sharing == "channel" and not _sees_the_image(spec):
        yield (
            (*loc, "sharing"),
            "'channel' needs an architecture 'sequential' with no dense layer or LSTM before the unit: mixed channels "
            "are none",
        )


def _sees_the_image(spec: JobSpec) -> bool:
    """Whether the spiking layers that share the weights of a channel come before everything that mixes channels."""
    if not isinstance(spec.architecture, Sequential) or isinstance(spec.architecture.readout, SpikeCountReadout):
        return False
    mixed = False
    for layer in spec.architecture.layers:
        neuron = (layer.neuron or spec.neuron) if isinstance(layer, Spiking) else None
        if mixed and isinstance(neuron, LIFUnit) and neuron.sharing == "channel":
            return False
        mixed = mixed or isinstance(layer, Dense | LSTM)
    return True


def _members(loc: Location, neuron: LIF | ALIF | Mixed) -> _Broken:
    if not isinstance(neuron, Mixed):
        members: list[tuple[Location, LIF | ALIF]] = [(loc, neuron)]
    else:
        members = [((*loc, "populations", i, "neuron"), p.neuron) for i, p in enumerate(neuron.populations)]
        first = members[0][1]
        for loc, member in members[1:]:
            for field in SHARED_IN_A_LAYER:
                if getattr(member, field) != getattr(first, field):
                    yield (*loc, field), "must be the same in all populations of a mixed layer"
    for loc, member in members:
        if member.reset != "value" and member.v_reset != 0:
            yield (*loc, "v_reset"), f"has no effect with reset {member.reset!r}; leave it out or take reset 'value'"
        if member.v_reset >= member.v_threshold:
            yield (*loc, "v_reset"), "must lie below v_threshold"


def _delays(spec: JobSpec) -> _Broken:
    architecture = spec.architecture
    delays: dict[Location, ConstantDelay | UniformDelay] = {}
    if isinstance(architecture, Recurrent):
        delays["architecture", "input", "delay"] = architecture.input.delay
        delays["architecture", "recurrence", "delay"] = architecture.recurrence.delay
        yield from _recurrent_delay(("architecture", "recurrence", "delay"), architecture.recurrence.delay)
        if architecture.embedded is not None:
            delays["architecture", "embedded", "connection", "delay"] = architecture.embedded.connection.delay
    elif isinstance(architecture, Sequential):
        for i, layer in enumerate(architecture.layers):
            if isinstance(layer, Spiking) and layer.recurrence is not None:
                place: Location = ("architecture", "layers", i, "recurrence", "delay")
                delays[place] = layer.recurrence.delay
                yield from _recurrent_delay(place, layer.recurrence.delay)
    else:
        delays["architecture", "connection", "delay"] = architecture.connection.delay
    for loc, delay in delays.items():
        if isinstance(delay, UniformDelay) and delay.low > delay.high:
            yield (*loc, "high"), f"must not be below low = {delay.low}"
        if 1 <= spec.encoding.n_steps <= delay.longest:
            field = "steps" if isinstance(delay, ConstantDelay) else "high"
            yield (*loc, field), f"must be shorter than the presentation, {spec.encoding.n_steps} steps"


def _recurrent_delay(loc: Location, delay: Delay) -> _Broken:
    if delay.shortest < 1:
        yield (
            (*loc, "steps" if isinstance(delay, ConstantDelay) else "low"),
            "a recurrent delay is at least 1 step: a spike cannot arrive in the step that it is fired in",
        )


def _readout(spec: JobSpec) -> _Broken:
    loc, duration = ("architecture", "readout"), spec.encoding.duration_ms
    match spec.architecture.readout:
        case LeakyReadout() as readout:
            if readout.window_ms is not None and readout.reduction != "mean":
                yield (
                    (*loc, "window_ms"),
                    f"has no effect with reduction {readout.reduction!r}; leave it out or take 'mean'",
                )
            if readout.window_ms is not None and readout.window_ms > duration:
                yield (*loc, "window_ms"), f"must not exceed encoding.duration_ms = {duration:g}"
        case SpikeCountReadout() as readout:
            counted_ms = duration / spec.encoding.frames if readout.by_frame else duration
            if readout.warmup_ms > counted_ms - spec.encoding.dt_ms:
                whole = "each frame" if readout.by_frame else "the presentation, encoding.duration_ms"
                yield (*loc, "warmup_ms"), f"must end before {whole} = {counted_ms:g}"
            if readout.recurrent and not isinstance(spec.architecture, Recurrent):
                yield (*loc, "recurrent"), "needs the architecture 'recurrent'"
            if readout.recurrent and readout.weights != SpikeCountReadout(kind="spike_count").weights:
                yield (*loc, "weights"), "has no effect on recurrent outputs; set architecture.recurrence.weights"


def _embedded(spec: JobSpec) -> _Broken:
    if not isinstance(spec.architecture, Recurrent) or spec.architecture.embedded is None:
        return
    loc, network, readout = (
        ("architecture", "embedded", "network"),
        spec.architecture.embedded.network,
        spec.architecture.readout,
    )
    if not isinstance(readout, SpikeCountReadout) or not readout.recurrent:
        yield (
            ("architecture", "readout"),
            "what is read are the outputs of the embedded network: readout 'spike_count' with recurrent = true",
        )
    elif readout.group_size != network.group_size:
        yield (
            ("architecture", "readout", "group_size"),
            f"must be that of the embedded network, {network.group_size}",
        )
    if network.n_outputs != spec.n_outputs:
        yield (*loc, "n_outputs"), f"the embedded network has {network.n_outputs} outputs, the task {spec.n_outputs}"
    if network.dt_ms != spec.encoding.dt_ms:
        yield (
            ("encoding", "dt_ms"),
            f"must be the {network.dt_ms:g} ms that the embedded network was trained with",
        )


def _training(spec: JobSpec) -> _Broken:
    sizes, training = split_sizes(spec.dataset), spec.training
    if 1 <= sizes["train"] < training.batch_size:
        yield ("training", "batch_size"), f"must not exceed the {sizes['train']} training samples"
    if training.seed_protocol and sizes["validation"] > 0:
        yield (
            ("training", "seed_protocol"),
            "puts the test split in the place of the validation split; give the dataset no validation samples",
        )
    unvalidated = sizes["validation"] == 0 and not training.seed_protocol
    if training.final_weights == "best" and unvalidated:
        yield (
            ("training", "final_weights"),
            "the best weights are chosen on a validation split, and the dataset has none; give it one or take 'last'",
        )
    if training.early_stopping is not None and unvalidated:
        yield ("training", "early_stopping"), "watches a validation split, and the dataset has none; give it one"
    if isinstance(training.schedule, PlateauDecay) and training.schedule.split == "validation" and unvalidated:
        yield ("training", "schedule", "split"), "must be 'train': the dataset has no validation split"
    if training.selection == "true_label_probability" and not has_class_probabilities(spec.task):
        yield (
            ("training", "selection"),
            "needs a task that names classes, with the loss 'cross_entropy', 'mse' or 'straight_through'",
        )
    if training.rate_regulariser is not None and not any(shape.neuron for shape in layer_shapes(spec)):
        yield ("training", "rate_regulariser"), "has no effect: no layer of the architecture is 'spiking'"
    if isinstance(training.schedule, CosineDecay) and training.schedule.warmup_steps >= spec.n_training_steps:
        yield (
            ("training", "schedule", "warmup_steps"),
            f"must be fewer than the {spec.n_training_steps} steps of the training",
        )


def _rewiring(spec: JobSpec) -> _Broken:
    loc, rewiring = ("training", "rewiring"), spec.training.rewiring
    if rewiring is None:
        return
    known = [matrix.name for matrix in weight_matrices(spec)]
    named: dict[Location, str] = {(*loc, "matrices", i): name for i, name in enumerate(rewiring.matrices or [])}
    if isinstance(rewiring.connectivity, dict):
        if named:
            yield (*loc, "matrices"), "has no effect where connectivity names the matrices; leave it out"
        named = {(*loc, "connectivity", name): name for name in rewiring.connectivity}
    for place, name in named.items():
        if name not in known:
            yield place, f"is no weight matrix of this network, which has {', '.join(map(repr, known))}"
    if len(set(named.values())) < len(named):
        yield (*loc, "matrices"), "names a matrix twice"
    if rewiring.connectivity == {}:
        yield (*loc, "connectivity"), "names no matrix"
    chosen = rewired_matrices(spec)
    for matrix, share in chosen:
        if most_synapses([(matrix, share)]) == 0:
            place = (*loc, "connectivity", *([matrix.name] if isinstance(rewiring.connectivity, dict) else []))
            yield place, f"leaves none of the {matrix.n_synapses} synapses of {matrix.name!r}"
    if rewiring.budget == "pooled" and len(chosen) == 1:
        yield (*loc, "budget"), "has no effect on one matrix; take 'per_matrix', or rewire more than one"
    if spec.training.optimiser.weight_decay > 0:
        yield (
            ("training", "optimiser", "weight_decay"),
            "must be 0 with rewiring, which shrinks weights by training.rewiring.l1",
        )


def _engine(spec: JobSpec) -> _Broken:
    if spec.training.engine == "reference" and isinstance(spec.training.backward, CheckpointedBackward):
        yield (
            ("training", "backward", "kind"),
            "the engine 'reference' keeps every step; take the engine 'auto', or the backward strategy 'full'",
        )


def warnings_about(spec: JobSpec) -> list[str]:
    """What is allowed and rarely meant."""
    warnings = []
    encoding, training = spec.encoding, spec.training
    if training.seed_protocol:
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
    if isinstance(encoding, ThresholdCrossing | Delta) and encoding.frames == 1:
        warnings.append(
            f"encoding: {encoding.kind!r} shows how features change from frame to frame, and with frames = 1 all "
            "spikes come at the first step; cut the samples into frames, or scan the images"
        )
    if training.gradient_clip_norm is None and encoding.n_steps > 1_000:
        warnings.append(
            f"training: {encoding.n_steps} time steps without gradient_clip_norm; "
            "gradients through long times can explode"
        )
    if (remainder := split_sizes(spec.dataset)["train"] % training.batch_size) and remainder < training.batch_size // 4:
        warnings.append(f"training: the last batch of each epoch holds {remainder} samples only")
    return warnings
