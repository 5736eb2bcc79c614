"""Decision pools that learn from a teacher's spikes, as a stream of events."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncore import datasets, spec
from snncore.datasets import Samples
from snncore.events import Better, Checkpoint, Event, Finished, Log, Metric, Progress, Raster, Split, Started, Stopped
from snncore.plasticity import reaction_times, showing
from snncore.plasticity.decisions import Decisions
from snncore.plasticity.pools import Draws, Pools, Shown, draws, initial_weights
from snncore.plasticity.showing import LAYER
from snncore.streams import stream
from snncore.training import checkpoints
from snncore.training.checkpoints import Position, Snapshot
from snncore.training.environment import describe, peak_memory_bytes
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
OFTEN_MISSED = 0.5


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
        self.rate_error = 0.0
        """Sum over the samples of the epoch."""
        self.best: dict[str, Tensor] = {}
        self.unsaved_best = False
        self.resumed = resume is not None
        if resume is not None:
            self._restore(checkpoints.snapshot_from_bytes(job, resume))
        self.samples_a_second = 0.0

    # -- where the run stands

    @property
    def step(self) -> int:
        """Batches that are done."""
        return (self.position.epoch - 1) * self.job.steps_per_epoch + self.position.batch

    def _restore(self, snapshot: Snapshot) -> None:
        self._load(snapshot.network)
        self.rate_error = float(snapshot.tally["rate_error_hz"])
        self.best = snapshot.best
        self.unsaved_best = bool(self.best)
        self.position = snapshot.position
        self.interruptions.elapsed_before_s = snapshot.position.elapsed_s

    def _weights(self) -> dict[str, Tensor]:
        return {WEIGHTS: torch.from_numpy(self.pools.weights.T.copy())}

    def _load(self, weights: dict[str, Tensor]) -> None:
        self.pools.weights[:] = weights[WEIGHTS].numpy().T

    # -- the run

    def events(self) -> Iterator[Event]:
        yield Started(describe(self.job, torch.device("cpu"), ENGINE), self.step if self.resumed else None)
        if not self.resumed:
            for warning in spec.warnings_about(self.job):
                yield Log("warning", warning)
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
        self.rate_error += float(error.sum())
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
        error = self.rate_error / spec.split_sizes(self.job.dataset)["train"]
        yield Metric("rate_error_hz", "train", step, epoch, error, "Hz", "min")
        yield Metric("learning_rate", "train", step, epoch, self._learning_rate())
        yield from self._split_metrics("train", train, epoch)
        if epoch == 1:
            yield from self._activity_warnings(train)
        if len(validation.labels):
            yield from self._split_metrics("validation", validation, epoch)
            yield from self._rasters("validation", epoch)
            found = validation.metrics()
            standing = (found["accuracy"], found["vote_accuracy"])
            if position.best is None or standing > position.best:
                position.best, position.best_epoch = standing, epoch
                self.best, self.unsaved_best = self._weights(), True
        every = training.checkpoint_every_epochs
        if every and epoch % every == 0:
            data = checkpoints.weights_to_bytes(self.job, self._weights(), kind="periodic", epoch=epoch, step=step)
            yield Checkpoint("periodic", epoch, step, data)
        position.epoch, position.batch, self.rate_error = epoch + 1, 0, 0.0
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
        if (share := test.metrics()["miss_share"]) > OFTEN_MISSED:
            yield Log(
                "warning",
                f"the accumulators came to the bound for {1 - share:.0%} of the test samples only; lower "
                "architecture.decision.bound, or raise its duration_ms",
            )
        yield Finished(
            {
                "metrics": {split: decisions.metrics() for split, decisions in found.items()},
                "confusion_matrix": test.confusion(job.n_outputs),
                "decisions": reaction_times.report(job, found),
                "firing": self._firing(test),
                "cost": self._cost(test),
                "environment": describe(job, torch.device("cpu"), ENGINE),
                "weights": {"kind": self.training.final_weights, "epoch": tested},
                "epochs": last,
                "seed_protocol": False,
            }
        )

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
        yield Metric(f"firing_rate_hz.{LAYER}", split, self.step, epoch, self._rate_hz(decisions), "Hz")

    def _rate_hz(self, decisions: Decisions) -> float:
        seconds = self.architecture.decision.duration_ms / 1000
        return float(decisions.neuron_spikes.mean()) / len(decisions.labels) / seconds

    def _activity_warnings(self, decisions: Decisions) -> Iterator[Log]:
        silent = [str(pool) for pool in np.flatnonzero(decisions.pool_spikes == 0)]
        if silent:
            yield Log(
                "warning",
                f"the pools of the classes {', '.join(silent)} fired no spike after the first epoch, and can give no "
                "answer; raise training.learning_rate, architecture.neuron.input_gain or dataset.n_train",
            )

    def _rasters(self, split: Split, epoch: int) -> Iterator[Raster]:
        recording = self.job.recording
        if isinstance(recording, spec.RecordSpikes) and (split == "test" or epoch % recording.every_epochs == 0):
            samples = self._samples(split)[: recording.n_samples]
            yield from showing.rasters(self.job, self.pools, samples, split, epoch=epoch, step=self.step)

    def _firing(self, test: Decisions) -> dict[str, dict[str, float]]:
        silent = float((test.neuron_spikes == 0).mean())
        return {LAYER: {"rate_hz": self._rate_hz(test), "silent_share": silent}}

    def _cost(self, test: Decisions) -> dict[str, object]:
        """Time and memory of the run; spikes a sample, and the synapses that they went through."""
        n, wall_time_s = len(test.labels), self.interruptions.elapsed_s
        arrived = test.input_spikes / n
        return {
            "wall_time_s": wall_time_s,
            "samples_per_s": self.step * self.training.batch_size / max(wall_time_s, 1e-9),
            "spikes_per_sample": {"input": arrived, LAYER: int(test.neuron_spikes.sum()) / n},
            "synaptic_operations_per_sample": arrived * self.pools.weights.shape[1],
            "peak_memory_bytes": peak_memory_bytes(torch.device("cpu")),
        }

    def _checkpoint(self) -> Iterator[Checkpoint]:
        """`best` first, so that whoever resumes from `last` has it."""
        job, position, step = self.job, self.position, self.step
        if self.unsaved_best:
            epoch = position.best_epoch or 0
            best_step = epoch * job.steps_per_epoch
            data = checkpoints.weights_to_bytes(job, self.best, kind="best", epoch=epoch, step=best_step)
            yield Checkpoint("best", epoch, best_step, data)
            self.unsaved_best = False
        position.elapsed_s = self.interruptions.elapsed_s
        tally = {"rate_error_hz": torch.tensor(self.rate_error, dtype=torch.float64)}
        snapshot = Snapshot(self._weights(), {}, tally, self.best, position)
        epoch = min(position.epoch, self.training.epochs)
        yield Checkpoint("last", epoch, step, checkpoints.snapshot_to_bytes(job, snapshot, epoch=epoch, step=step))
        self.interruptions.checkpointed()
