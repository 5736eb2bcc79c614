"""What the outputs are compared with, and what counts as right."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from snncore import spec
from snncore.losses import borders_loss, class_loss
from snncore.observers import chance_of_argmax, chance_of_winners, spikes_by_feature
from snncore.readouts import Reading
from snncore.spikes import SpikeTrain
from snncore.streams import stream


class Judgement(NamedTuple):
    """Of a batch: the mean loss, and for each sample `[B]`, or each of its windows `[B, S]`, the right answer (-1: none
    is asked for), the given one, and whether they agree."""

    loss: Tensor
    label: Tensor
    prediction: Tensor
    correct: Tensor
    probability: Tensor | None = None
    """Of the right class `[B]`, or `[B, S]`, where the outputs stand for probabilities: the mean over the windows of a
    sample that is asked one thing."""


class Task(Protocol):
    """Judges what a network read out for samples `x` `[B, F]` with classes `y` `[B]` or `[B, S]`, where there are
    any."""

    unit: str
    """Of the outputs and their targets."""
    borders_hz: tuple[float, float] | None
    """Rates that outputs should be below or above, where there are such."""

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement: ...

    def outputs(self, reading: Reading) -> Tensor:
        """What is compared with the targets, `[B, S, K]`."""
        ...

    def targets(self, x: Tensor, y: Tensor | None) -> Tensor:
        """What the outputs should be, `[B, S, K]`."""
        ...

    def chance_of_observer(self, inputs: SpikeTrain, counts: Tensor, x: Tensor, y: Tensor | None) -> Tensor | None:
        """How likely an ideal observer who counts the input's spikes is right, for each decision; None where no such
        observer is known. `counts` `[B, N]` are those of the whole presentation."""
        ...


class NamingTask:
    """The class, of the sample or of each frame that has one, is the largest output."""

    def __init__(self, task: spec.Classification | spec.Recall, n_classes: int, encoding: spec.Encoding) -> None:
        self.task = task
        self.n_classes = n_classes
        self.encoding = encoding
        self.by_rates = task.loss in ("rate_mse", "borders")
        self.unit = "Hz" if self.by_rates else ""
        self.borders_hz = (task.borders.zero_hz, task.borders.one_hz) if task.loss == "borders" else None

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement:
        assert y is not None
        values, rates = reading.values, reading.rates_hz
        if isinstance(self.task, spec.Recall):
            asked = y >= 0
            loss = class_loss(self.task, values[asked], None if rates is None else rates[asked], y[asked])
            prediction = values.argmax(dim=2)
        else:
            n_windows = values.shape[1]
            every = y.repeat_interleave(n_windows)
            loss = class_loss(self.task, values.flatten(0, 1), None if rates is None else rates.flatten(0, 1), every)
            believed = values.softmax(dim=2).mean(dim=1) if n_windows > 1 else values[:, 0]
            prediction = believed.argmax(dim=1)
        return Judgement(loss, y, prediction, prediction == y, self._probability(values, y))

    def _probability(self, values: Tensor, y: Tensor) -> Tensor | None:
        """Of the right class; where none is asked for, of the first."""
        if not spec.has_class_probabilities(self.task):
            return None
        right = y.clamp_min(0) if y.ndim == 2 else y[:, None].expand(-1, values.shape[1])
        probability = values.detach().softmax(dim=2).gather(2, right[:, :, None])[:, :, 0]
        return probability if y.ndim == 2 else probability.mean(dim=1)

    def outputs(self, reading: Reading) -> Tensor:
        if self.by_rates:
            assert reading.rates_hz is not None
            return reading.rates_hz
        return reading.values

    def targets(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert y is not None
        code = torch.zeros(*y.shape, self.n_classes, dtype=x.dtype, device=x.device)
        code[y >= 0] = torch.nn.functional.one_hot(y[y >= 0], self.n_classes).to(code)
        one = {"rate_mse": self.task.rate_scale_hz, "borders": self.task.borders.one_hz}.get(self.task.loss, 1.0)
        return one * (code if code.ndim == 3 else code[:, None])

    def chance_of_observer(self, inputs: SpikeTrain, counts: Tensor, x: Tensor, y: Tensor | None) -> Tensor | None:
        """Who remembers the value channel that fired most in the frame of the last store, and knows the commands."""
        if not isinstance(self.task, spec.Recall) or not isinstance(self.encoding, spec.Poisson):
            return None
        assert y is not None
        frames = torch.split(inputs.words, self.encoding.steps_a_frame)
        in_frames = torch.stack(
            [spikes_by_feature(SpikeTrain(part, 0, inputs.stop).counts(), self.encoding.group_size) for part in frames],
            dim=1,
        )
        store = x.reshape(len(x), len(frames), -1)[:, :, self.n_classes] > 0
        slots = torch.arange(len(frames), device=x.device)
        last_store = torch.where(store, slots, -1).cummax(dim=1).values
        recalled = y >= 0
        seen = in_frames[recalled.nonzero()[:, 0], last_store[recalled], : self.n_classes]
        return chance_of_argmax(seen, y[recalled])


class SoftmaxTask:
    """Rates that are the softmax of the mapped input (Renner 2020, eqs. 4.4-4.9).

    loss = 1/2 sum_n (rate_n - target_n)**2, in Hz**2, mean over the batch. An answer whose largest rate is shared by
    two outputs is wrong.
    """

    unit = "Hz"
    borders_hz: tuple[float, float] | None = None

    def __init__(self, task: spec.Softmax, n_features: int, seed: int, encoding: spec.Encoding) -> None:
        self.mapping = task.mapping
        self.rate_scale_hz = task.rate_scale_hz
        self.encoding = encoding
        if task.mapping == "linear":
            self.matrix = torch.from_numpy(stream(seed, "task/matrix").normal(20, 5, (task.n_outputs, n_features)))

    def mapped(self, x: Tensor) -> Tensor:
        """What the softmax is taken of, `[B, n_outputs]`."""
        match self.mapping:
            case "identity":
                return x
            case "linear":
                return x @ self.matrix.to(x).T
            case "difference":
                positive, negative = x.chunk(2, dim=1)
                return positive - negative

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement:
        rates, targets = self.outputs(reading)[:, 0], self.targets(x, y)[:, 0]
        loss = 0.5 * (rates - targets).square().sum(dim=1).mean()
        prediction, label = rates.argmax(dim=1), targets.argmax(dim=1)
        shared = (rates == rates.amax(dim=1, keepdim=True)).sum(dim=1) > 1
        return Judgement(loss, label, prediction, (prediction == label) & ~shared)

    def outputs(self, reading: Reading) -> Tensor:
        assert reading.rates_hz is not None
        return reading.rates_hz

    def targets(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.rate_scale_hz * self.mapped(x).softmax(dim=1)[:, None]

    def chance_of_observer(self, inputs: SpikeTrain, counts: Tensor, x: Tensor, y: Tensor | None) -> Tensor | None:
        """Who maps the spike counts as if they were the input: a bound for the identity, elsewhere a reference."""
        if not isinstance(self.encoding, spec.Poisson):
            return None
        seen = spikes_by_feature(counts, self.encoding.group_size)
        return chance_of_argmax(self.mapped(seen.to(x)), self.mapped(x).argmax(dim=1))


class KWinnersTask:
    """The rates of the k largest inputs above a border, those of the others not (Renner 2020, section 4.3).

    The label of a sample is its largest input; it is right if all outputs are on their side of the decision border.
    """

    unit = "Hz"

    def __init__(self, task: spec.KWinners, encoding: spec.Encoding) -> None:
        self.k = task.k
        self.decision_hz = task.decision_hz
        self.borders = task.borders
        self.borders_hz: tuple[float, float] | None = (task.borders.zero_hz, task.borders.one_hz)
        self.encoding = encoding

    def winners(self, x: Tensor) -> Tensor:
        """Whether fewer than k inputs are larger, `[B, n]`."""
        return (x[:, None, :] > x[:, :, None]).sum(dim=2) < self.k

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement:
        rates, winners = self.outputs(reading)[:, 0], self.winners(x)
        right = ((rates > self.decision_hz) == winners).all(dim=1)
        return Judgement(borders_loss(self.borders, rates, winners), x.argmax(dim=1), rates.argmax(dim=1), right)

    def outputs(self, reading: Reading) -> Tensor:
        assert reading.rates_hz is not None
        return reading.rates_hz

    def targets(self, x: Tensor, y: Tensor | None) -> Tensor:
        return torch.where(self.winners(x), self.borders.one_hz, 0.0)[:, None].to(x)

    def chance_of_observer(self, inputs: SpikeTrain, counts: Tensor, x: Tensor, y: Tensor | None) -> Tensor | None:
        """Who takes the k inputs with the most spikes."""
        if not isinstance(self.encoding, spec.Poisson):
            return None
        return chance_of_winners(spikes_by_feature(counts, self.encoding.group_size), self.winners(x))


def make_task(job: spec.JobSpec) -> Task:
    """The task of a job."""
    match job.task:
        case spec.Classification() | spec.Recall():
            return NamingTask(job.task, job.n_outputs, job.encoding)
        case spec.Softmax():
            return SoftmaxTask(job.task, spec.n_features(job.dataset), job.seed, job.encoding)
        case spec.KWinners():
            return KWinnersTask(job.task, job.encoding)
