"""Decision pools that learn from a teacher's spikes, as a stream of events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncore import datasets, spec
from snncore.datasets import Samples
from snncore.events import (
    Better,
    Checkpoint,
    CheckpointKind,
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
from snncore.plasticity import showing
from snncore.plasticity.decisions import Decisions
from snncore.plasticity.pools import Draws, Pools, Shown, draws, initial_weights
from snncore.plasticity.pools_result import rate_hz, result, warnings_about_decisions, warnings_about_learning
from snncore.plasticity.showing import LAYER
from snncore.streams import stream
from snncore.training import archives
from snncore.training.environment import describe
from snncore.training.interruptions import Interruptions

WEIGHTS = "layers.pools.synapses.weight"
ENGINE = "pools-cpu"
METRICS: dict[str, tuple[str, Better | None]] = {
    "accuracy": ("", "max"),
    "vote_accuracy": ("", "max"),
    "miss_share": ("", "min"),
    "correct_reaction_time_ms": ("ms", "min"),
    "wrong_reaction_time_ms": ("ms", None),
}
GROUPS = ("network", "best")


@dataclass(slots=True)
class Position:
    """Where a run stands."""

    epoch: int = 1
    batch: int = 0
    """Batches of the epoch that are done."""
    rate_error_hz: float = 0.0
    """Sum over the samples of the epoch."""
    best_epoch: int | None = None
    best: tuple[float, float] | None = None
    """Of the best weights on the validation split: the accuracy, and that of the votes, which tells equals apart."""
    elapsed_s: float = 0.0


class TeacherRun:
    """Pools that are taught, from the start or from the `last` checkpoint in `resume`."""

    def __init__(self, job: spec.JobSpec, resume: bytes | None, interruptions: Interruptions) -> None:
        assert isinstance(job.architecture, spec.DecisionPools)
        assert isinstance(job.training, spec.TeacherSTDP)
        self.job, self.interruptions = job, interruptions
        self.architecture, self.training = job.architecture, job.training
        self.data = datasets.load(job.dataset, job.seed)
        self.pools = Pools(job, initial_weights(job))
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.unsaved_best = False
        self.resumed = resume is not None
        if resume is not None:
            self._restore(resume)
        self.samples_a_second = 0.0

    # -- where the run stands

    @property
    def step(self) -> int:
        """Batches that are done."""
        return (self.position.epoch - 1) * self.job.steps_per_epoch + self.position.batch

    def _restore(self, data: bytes) -> None:
        groups, stood = archives.from_bytes(self.job, data, GROUPS)
        self._load(groups["network"])
        self.best, self.unsaved_best = groups["best"], bool(groups["best"])
        self.position = Position(**stood)
        if self.position.best is not None:  # JSON knows no tuples
            accuracy, vote_accuracy = self.position.best
            self.position.best = accuracy, vote_accuracy
        self.interruptions.elapsed_before_s = self.position.elapsed_s

    def _weights(self) -> dict[str, Tensor]:
        return {WEIGHTS: torch.from_numpy(self.pools.weights.T.copy())}

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        self.pools.weights[:] = weights[WEIGHTS].numpy().T

    # -- the run

    def events(self) -> Iterator[Event]:
        yield Started(describe(self.job, torch.device("cpu"), ENGINE), self.step if self.resumed else None)
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
        yield from self._end()

    def _epoch(self) -> Iterator[Event]:
        """What is left of the current epoch: learning, then decisions. Returns early when asked to stop."""
        job, position, size = self.job, self.position, self.training.batch_size
        samples = self._samples("train")
        order = stream(job.seed, "shuffle", position.epoch).permutation(len(samples))
        spikes = draws(job.seed, "train", position.epoch)
        for batch in range(position.batch, job.steps_per_epoch):
            if self.interruptions.stopping():
                return
            if self.interruptions.checkpoint_due():
                yield from self._checkpoint()
            first = batch * size
            yield from self._batch(samples[order[first : first + size]], spikes.beginning_with(first))
        train = self._decide("train")
        validation = self._decide("validation") if train is not None else None
        if train is not None and validation is not None:
            yield from self._close_epoch(train, validation)

    def _batch(self, samples: Samples, spikes: Draws) -> Iterator[Event]:
        """Learn some samples, one after the other."""
        job, training = self.job, self.training
        began = time.monotonic()
        assert samples.y is not None
        shown = self.pools.learn(showing.probabilities(job, samples), samples.y, spikes, self._learning_rate())
        error = self._rate_errors(shown, samples.y)
        self.position.rate_error_hz += float(error.sum())
        self.position.batch += 1
        step = self.step
        if step % training.log_every_steps == 0:
            yield Metric("batch_rate_error_hz", "train", step, self.position.epoch, float(error.mean()), "Hz", "min")
        now = len(samples) / max(time.monotonic() - began, 1e-9)
        self.samples_a_second = 0.9 * self.samples_a_second + 0.1 * now if self.samples_a_second else now
        steps = job.n_training_steps
        yield Progress(
            epoch=self.position.epoch,
            epochs=training.epochs,
            step=step,
            steps=steps,
            samples_per_s=self.samples_a_second,
            eta_s=(steps - step) * training.batch_size / self.samples_a_second,
        )

    def _learning_rate(self) -> float:
        """That of the current epoch."""
        return self.training.learning_rate * self.training.learning_rate_decay ** (self.position.epoch - 1)

    def _rate_errors(self, shown: Shown, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """How far the rates of the pools are from those that are taught, a mean over the pools for each sample."""
        seconds = self.pools.learning_steps * self.job.encoding.dt_ms / 1000
        rates = shown.pool_spikes / (self.architecture.pool_size * seconds)
        rates[np.arange(len(labels)), labels] -= self.training.teacher_rate_hz
        errors: NDArray[np.float64] = np.abs(rates).mean(axis=1)
        return errors

    def _close_epoch(self, train: Decisions, validation: Decisions) -> Iterator[Event]:
        position, training = self.position, self.training
        epoch, step = position.epoch, self.step
        error = position.rate_error_hz / spec.split_sizes(self.job.dataset)["train"]
        yield Metric("rate_error_hz", "train", step, epoch, error, "Hz", "min")
        yield Metric("learning_rate", "train", step, epoch, self._learning_rate())
        yield from self._split_metrics("train", train, epoch)
        if epoch == 1:
            yield from (Log("warning", warning) for warning in warnings_about_learning(train))
        if len(validation.labels):
            yield from self._split_metrics("validation", validation, epoch)
            yield from self._rasters("validation", epoch)
            found = validation.metrics()
            standing = (found["accuracy"], found["vote_accuracy"])
            if position.best is None or standing > position.best:
                position.best, position.best_epoch = standing, epoch
                self.best, self.unsaved_best = self._weights(), True
        yield from self._fields(epoch)
        every = training.checkpoint_every_epochs
        if every and epoch % every == 0:
            yield self._usable("periodic", self._weights(), epoch, step)
        position.epoch, position.batch, position.rate_error_hz = epoch + 1, 0, 0.0
        if self.interruptions.checkpoint_due():
            yield from self._checkpoint()

    def _end(self) -> Iterator[Event]:
        """Test the chosen weights and sum up."""
        job, last = self.job, self.position.epoch - 1
        if not self.best:
            self.best, self.unsaved_best, self.position.best_epoch = self._weights(), True, last
        yield from self._checkpoint()
        tested = self.position.best_epoch
        if self.training.final_weights == "best":
            self._load(self.best)
        else:
            tested = last
        found: dict[Split, Decisions] = {}
        splits: tuple[Split, ...] = ("train", "validation", "test")
        for split in splits:
            decisions = self._decide(split)
            if decisions is None:
                assert self.interruptions.reason is not None
                yield Stopped(self.interruptions.reason)
                return
            if len(decisions.labels):
                found[split] = decisions
        test = found["test"]
        yield from self._split_metrics("test", test, last)
        yield from self._rasters("test", last)
        yield from (Log("warning", warning) for warning in warnings_about_decisions(test))
        outcome = result(
            job, found, wall_time_s=self.interruptions.elapsed_s, n_learned=self.step * self.training.batch_size
        )
        environment = describe(job, torch.device("cpu"), ENGINE)
        chosen = {"kind": self.training.final_weights, "epoch": tested}
        yield Finished(outcome | {"environment": environment, "weights": chosen, "epochs": last})

    # -- samples and what is made of them

    def _samples(self, split: Split) -> Samples:
        samples = getattr(self.data, split)
        assert isinstance(samples, Samples)  # by the rules of the spec: no events
        return samples

    def _decide(self, split: Split) -> Decisions | None:
        """The decisions on a split, on its first samples where it is the one that is trained on; None if asked to stop
        meanwhile."""
        samples = self._samples(split)
        measured = samples[: self.training.n_measured] if split == "train" else samples
        return showing.decide(self.job, self.pools, measured, split, self.interruptions.stopping)

    # -- pieces of events

    def _split_metrics(self, split: Split, decisions: Decisions, epoch: int) -> Iterator[Metric]:
        for name, value in decisions.metrics().items():
            unit, better = METRICS[name]
            yield Metric(name, split, self.step, epoch, value, unit, better)
        yield Metric(f"firing_rate_hz.{LAYER}", split, self.step, epoch, rate_hz(self.job, decisions), "Hz")

    def _rasters(self, split: Split, epoch: int) -> Iterator[Raster]:
        recording = self.job.recording
        if isinstance(recording, spec.RecordSpikes) and (split == "test" or epoch % recording.every_epochs == 0):
            samples = self._samples(split)[: recording.n_samples]
            yield from showing.rasters(self.job, self.pools, samples, split, epoch=epoch, step=self.step)

    def _fields(self, epoch: int) -> Iterator[ReceptiveFields]:
        """The weights of each neuron as a picture of the input, before the first epoch and after those asked for."""
        asked = spec.fields_asked(self.job, epoch, last=epoch == self.training.epochs)
        if asked is None:
            return
        weights = self.pools.weights.T[: asked.n_neurons]
        yield ReceptiveFields(
            epoch=epoch,
            step=self.step,
            layer=LAYER,
            shape=spec.picture_shape(self.job),
            weights=np.array(weights, np.float32, order="C"),
            labels=[neuron // self.architecture.pool_size for neuron in range(len(weights))],
        )

    # -- checkpoints

    def _checkpoint(self) -> Iterator[Checkpoint]:
        """`best` first, so that whoever resumes from `last` has it."""
        job, position, step = self.job, self.position, self.step
        if self.unsaved_best:
            best_epoch = position.best_epoch or 0
            yield self._usable("best", self.best, best_epoch, best_epoch * job.steps_per_epoch)
            self.unsaved_best = False
        position.elapsed_s = self.interruptions.elapsed_s
        groups, epoch = {"network": self._weights(), "best": self.best}, min(position.epoch, self.training.epochs)
        data = archives.to_bytes(job, groups, kind="last", epoch=epoch, step=step, position=asdict(position))
        yield Checkpoint("last", epoch, step, data)
        self.interruptions.checkpointed()

    def _usable(self, kind: CheckpointKind, weights: Mapping[str, Tensor], epoch: int, step: int) -> Checkpoint:
        """A checkpoint that can be used, not resumed."""
        return Checkpoint(
            kind, epoch, step, archives.to_bytes(self.job, {"network": weights}, kind=kind, epoch=epoch, step=step)
        )
