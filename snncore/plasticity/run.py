"""Unsupervised learning in a competitive network as a stream of events."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snncore import datasets, spec
from snncore.datasets import Samples
from snncore.events import (
    Checkpoint,
    Event,
    Finished,
    Log,
    Metric,
    Progress,
    Raster,
    ReceptiveFields,
    Split,
    Started,
    Stopped,
)
from snncore.plasticity.competition import Answers, CompetitiveNetwork
from snncore.plasticity.evaluation import Evaluation, evaluate, features, key_of, rasters
from snncore.plasticity.labelling import NO_CLASS
from snncore.plasticity.result import result
from snncore.streams import stream
from snncore.training import archives
from snncore.training.environment import describe
from snncore.training.interruptions import Interruptions

ENGINE = "competition"
CHUNK = 50
"""Samples between two questions whether to stop, where the network learns one by one."""
GROUPS = ("network", "cells", "best")


@dataclass(slots=True)
class Sums:
    """Over the samples since the last points of the batch series."""

    samples: int = 0
    spikes: int = 0
    attempts: int = 0

    def add(self, answers: Answers) -> None:
        self.samples += len(answers.counts)
        self.spikes += int(answers.counts.sum())
        self.attempts += int(answers.attempts.sum())


@dataclass(slots=True)
class Position:
    """Where a run stands."""

    epoch: int = 1
    done: int = 0
    """Samples of the epoch that were learned from."""
    unevaluated: bool = False
    """Whether an evaluation is due before the next sample."""
    best_epoch: int | None = None
    best_step: int = 0
    best_accuracy: float = -1.0
    elapsed_s: float = 0.0
    samples_learned: int = 0
    learning_s: float = 0.0
    sums: Sums = field(default_factory=Sums)


class CompetitionRun:
    """A competitive network from its first weights, or from the `last` checkpoint in `resume`, to its test."""

    def __init__(self, job: spec.JobSpec, resume: bytes | None, interruptions: Interruptions) -> None:
        assert isinstance(job.training, spec.STDP)
        self.job, self.training, self.interruptions = job, job.training, interruptions
        self.data = datasets.load(job.dataset, job.seed)
        self.network = CompetitiveNetwork(job)
        self.threads = torch.get_num_threads()
        self.position = Position()
        self.best: dict[str, NDArray[Any]] = {}
        self.unsaved_best = False
        self.resumed = resume is not None
        if resume is not None:
            self._restore(resume)

    @property
    def step(self) -> int:
        """Updates that are done: batches."""
        in_epoch = -(-self.position.done // self.training.batch_size)
        return (self.position.epoch - 1) * self.job.steps_per_epoch + in_epoch

    def events(self) -> Iterator[Event]:
        environment = describe(self.job, torch.device("cpu"), ENGINE)
        yield Started(environment, self.step if self.resumed else None)
        if not self.resumed:
            for warning in spec.warnings_about(self.job):
                yield Log("warning", warning)
            yield from self._fields(epoch=0)
        while self.position.epoch <= self.training.epochs:
            yield from self._epoch()
            if self.interruptions.reason is not None:
                yield from self._checkpoint()
                yield Stopped(self.interruptions.reason)
                return
        yield from self._end(environment)

    # -- learning

    def _epoch(self) -> Iterator[Event]:
        """What is left of the current epoch. Returns early when asked to stop."""
        position = self.position
        samples = self.data.train_in(position.epoch)
        assert isinstance(samples, Samples)
        order = stream(self.job.seed, "shuffle", position.epoch).permutation(len(samples))
        key = key_of(self.job, "train", position.epoch)
        while position.done < len(samples) or position.unevaluated:
            if self.interruptions.stopping():
                return
            yield from self._checkpoint_when_due()
            if position.unevaluated:
                if not (yield from self._evaluate(at_end=position.done == len(samples))):
                    return
                continue
            stop = self._next_stop(len(samples))
            yield from self._learn(samples[order[position.done : stop]], np.arange(position.done, stop), key)
            every = self.training.evaluate_every
            position.unevaluated = stop == len(samples) or (every is not None and stop % every == 0)
        every = self.training.checkpoint_every_epochs
        if every and position.epoch % every == 0:
            yield self._weights("periodic", self.network.learned(), position.epoch, self.step)
        position.epoch, position.done = position.epoch + 1, 0

    def _next_stop(self, n_samples: int) -> int:
        """The end of the next chunk: a batch, or so many samples that it ends where something is due."""
        done, size = self.position.done, self.training.batch_size
        if size > 1:
            return min(done + size, n_samples)
        due = (every for every in (self.training.log_every_steps, self.training.evaluate_every) if every)
        return min(done + CHUNK, n_samples, *((done // every + 1) * every for every in due))

    def _learn(self, samples: Samples, numbers: NDArray[np.int64], key: int) -> Iterator[Event]:
        training, position = self.training, self.position
        began = time.monotonic()
        x = features(samples)
        if training.batch_size > 1:
            answers = self.network.learn_batch(x, numbers, key, self.threads)
        else:
            answers = self.network.learn(x, numbers, key)
        position.done += len(x)
        position.samples_learned += len(x)
        position.learning_s += time.monotonic() - began
        position.sums.add(answers)
        if position.epoch == 1 and position.done == len(x) and not answers.counts.any():
            yield Log(
                "warning",
                f"no neuron fired in the first {len(x)} samples; raise encoding.max_rate_hz or training.weight_total, "
                "or lower neuron.theta_initial_mv",
            )
        if self.step % training.log_every_steps == 0:
            sums, epoch = position.sums, position.epoch
            yield Metric("spikes_per_sample", "train", self.step, epoch, sums.spikes / sums.samples)
            yield Metric("attempts_per_sample", "train", self.step, epoch, sums.attempts / sums.samples)
            yield Metric("theta_mv", "train", self.step, epoch, float(self.network.theta.mean()), "mV")
            position.sums = Sums()
        rate = position.samples_learned / max(position.learning_s, 1e-9)
        left = self.job.n_training_steps - self.step
        yield Progress(
            epoch=position.epoch,
            epochs=training.epochs,
            step=self.step,
            steps=self.job.n_training_steps,
            samples_per_s=rate,
            eta_s=left * training.batch_size / rate,
        )

    # -- what came of it

    def _evaluate(self, *, at_end: bool) -> Generator[Event, None, bool]:
        """Label the neurons and look how well they answer. Whether that was done, or interrupted."""
        position, epoch, step = self.position, self.position.epoch, self.step
        on_train = self._evaluation("train")
        if on_train is None:
            return False
        judged: dict[Split, Evaluation] = {"train": on_train}
        if len(self.data.validation):
            validation = self._evaluation("validation", on_train.labels)
            if validation is None:
                return False
            judged["validation"] = validation
        position.unevaluated = False
        for split, evaluation in judged.items():
            yield from self._metrics(split, evaluation, epoch, step)
        if not at_end:
            return True
        yield from self._rasters("validation", on_train.labels, epoch)
        yield from self._fields(epoch, on_train.labels)
        if "validation" in judged and judged["validation"].accuracy > position.best_accuracy:
            position.best_accuracy, position.best_epoch, position.best_step = judged["validation"].accuracy, epoch, step
            self.best, self.unsaved_best = self.network.learned() | {"labels": on_train.labels}, True
        return True

    def _end(self, environment: dict[str, Any]) -> Iterator[Event]:
        """Test the chosen weights and sum up."""
        last = self.training.epochs
        if not self.best:
            self.best, self.unsaved_best = self.network.learned(), True
            self.position.best_epoch, self.position.best_step = last, self.step
        yield from self._checkpoint()
        if self.training.final_weights == "best":
            self.network.load(self.best)
        splits: list[Split] = ["train", "validation", "test"] if len(self.data.validation) else ["train", "test"]
        judged: dict[Split, Evaluation] = {}
        for split in splits:
            labels = judged["train"].labels if judged else None
            evaluation = self._evaluation(split, labels)
            if evaluation is None:
                assert self.interruptions.reason is not None
                yield Stopped(self.interruptions.reason)
                return
            judged[split] = evaluation
        yield from self._metrics("test", judged["test"], last, self.step)
        yield from self._rasters("test", judged["train"].labels, last)
        outcome = result(
            self.job,
            self.network,
            judged,
            wall_time_s=self.interruptions.elapsed_s,
            samples_per_s=self.position.samples_learned / max(self.position.learning_s, 1e-9),
        )
        chosen = {"kind": self.training.final_weights, "epoch": self.position.best_epoch}
        yield Finished(outcome | {"environment": environment, "weights": chosen, "epochs": last})

    def _evaluation(self, split: Split, labels: NDArray[np.int64] | None = None) -> Evaluation | None:
        """A split with what was learned frozen; without `labels`, they are assigned by it. None when interrupted."""
        samples = getattr(self.data, split)
        assert isinstance(samples, Samples)
        if split == "train":
            samples = samples[: self.training.labelling.n_samples or len(samples)]
        return evaluate(self.job, self.network, samples, split, labels, self.threads, self.interruptions.stopping)

    def _metrics(self, split: Split, evaluation: Evaluation, epoch: int, step: int) -> Iterator[Metric]:
        yield Metric("accuracy", split, step, epoch, evaluation.accuracy, "", "max")
        yield Metric("unanswered_share", split, step, epoch, evaluation.unanswered_share, "", "min")
        for layer, rate in evaluation.rates_hz.items():
            yield Metric(f"firing_rate_hz.{layer}", split, step, epoch, rate, "Hz")
        yield Metric("silent_share", split, step, epoch, evaluation.silent_share, "", "min")

    def _rasters(self, split: Split, labels: NDArray[np.int64], epoch: int) -> Iterator[Raster]:
        recording = self.job.recording
        if not isinstance(recording, spec.RecordSpikes):
            return
        if split == "validation" and epoch % recording.every_epochs:
            return
        shown: Split = split if len(getattr(self.data, split)) else "test"
        samples = getattr(self.data, shown)[: recording.n_samples]
        yield from rasters(self.job, self.network, samples, shown, labels, epoch=epoch, step=self.step)

    def _fields(self, epoch: int, labels: NDArray[np.int64] | None = None) -> Iterator[ReceptiveFields]:
        """The weights of each neuron as a picture of the input, before the first epoch and after those asked for."""
        asked = spec.fields_asked(self.job, epoch, last=epoch == self.training.epochs)
        if asked is None:
            return
        weights = self.network.learned()["weights"].T[: asked.n_neurons]
        classes = None
        if labels is not None:
            classes = [None if label == NO_CLASS else int(label) for label in labels[: asked.n_neurons]]
        yield ReceptiveFields(
            epoch=epoch,
            step=self.step,
            layer="excitatory",
            shape=spec.picture_shape(self.job),
            weights=np.ascontiguousarray(weights, np.float32),
            labels=classes,
        )

    # -- checkpoints

    def _checkpoint_when_due(self) -> Iterator[Checkpoint]:
        if self.interruptions.checkpoint_due():
            yield from self._checkpoint()

    def _checkpoint(self) -> Iterator[Checkpoint]:
        """`best` first, so that whoever resumes from `last` has it."""
        position = self.position
        if self.unsaved_best:
            yield self._weights("best", self.best, position.best_epoch or 0, position.best_step)
            self.unsaved_best = False
        position.elapsed_s = self.interruptions.elapsed_s
        arrays = {"network": self.network.learned(), "cells": self.network.cells, "best": self.best}
        groups = {group: tensors(members) for group, members in arrays.items()}
        epoch, step = min(position.epoch, self.training.epochs), self.step
        data = archives.to_bytes(self.job, groups, kind="last", epoch=epoch, step=step, position=asdict(position))
        yield Checkpoint("last", epoch, step, data)
        self.interruptions.checkpointed()

    def _weights(self, kind: Any, learned: dict[str, NDArray[Any]], epoch: int, step: int) -> Checkpoint:
        """A checkpoint that can be used, not resumed."""
        data = archives.to_bytes(self.job, {"network": tensors(learned)}, kind=kind, epoch=epoch, step=step)
        return Checkpoint(kind, epoch, step, data)

    def _restore(self, data: bytes) -> None:
        groups, stood = archives.from_bytes(self.job, data, GROUPS)
        arrays = {
            group: {name: tensor.numpy() for name, tensor in members.items()} for group, members in groups.items()
        }
        self.network.load(arrays["network"], arrays["cells"])
        self.best, self.unsaved_best = arrays["best"], bool(arrays["best"])
        self.position = Position(**{**stood, "sums": Sums(**stood["sums"])})
        self.interruptions.elapsed_before_s = self.position.elapsed_s


def tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
