"""What the outputs are compared with, and what counts as right."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from snncore import spec
from snncore.readouts import Reading
from snncore.streams import stream


class Judgement(NamedTuple):
    """Of a batch: the mean loss, and for each sample the right answer, the given one, and whether they agree."""

    loss: Tensor
    label: Tensor
    prediction: Tensor
    correct: Tensor


class Task(Protocol):
    """Judges what a network read out for samples `x` `[B, F]` with classes `y` `[B]`, where there are any."""

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement: ...


class ClassificationTask:
    """The class is the largest output."""

    def __init__(self, task: spec.Classification) -> None:
        self.loss = task.loss

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement:
        assert y is not None
        values = reading.values
        if self.loss == "cross_entropy":
            loss = cross_entropy(values, y)
        else:
            code = one_hot(y, values.shape[1]).to(values.dtype)
            loss = (values.softmax(dim=1) - code).square().sum(dim=1).mean()
        prediction = values.argmax(dim=1)
        return Judgement(loss, y, prediction, prediction == y)


class SoftmaxTask:
    """Rates that are the softmax of the mapped input (Renner 2020, eqs. 4.4-4.9).

    loss = 1/2 sum_n (rate_n - target_n)**2, in Hz**2, mean over the batch. An answer whose largest rate is shared by
    two outputs is wrong.
    """

    def __init__(self, task: spec.Softmax, n_features: int, seed: int) -> None:
        self.mapping = task.mapping
        self.rate_scale_hz = task.rate_scale_hz
        if task.mapping == "linear":
            self.matrix = torch.from_numpy(stream(seed, "task/matrix").normal(20, 5, (task.n_outputs, n_features)))

    def targets_hz(self, x: Tensor) -> Tensor:
        """Target rates `[B, n_outputs]`."""
        match self.mapping:
            case "identity":
                mapped = x
            case "linear":
                mapped = x @ self.matrix.to(x).T
            case "difference":
                positive, negative = x.chunk(2, dim=1)
                mapped = positive - negative
        return self.rate_scale_hz * mapped.softmax(dim=1)

    def judge(self, reading: Reading, x: Tensor, y: Tensor | None) -> Judgement:
        rates = reading.rates_hz
        assert rates is not None
        targets = self.targets_hz(x)
        loss = 0.5 * (rates - targets).square().sum(dim=1).mean()
        prediction, label = rates.argmax(dim=1), targets.argmax(dim=1)
        shared = (rates == rates.amax(dim=1, keepdim=True)).sum(dim=1) > 1
        return Judgement(loss, label, prediction, (prediction == label) & ~shared)


def make_task(job: spec.JobSpec) -> Task:
    """The task of a job."""
    match job.task:
        case spec.Classification():
            return ClassificationTask(job.task)
        case spec.Softmax():
            return SoftmaxTask(job.task, spec.n_features(job.dataset), job.seed)
