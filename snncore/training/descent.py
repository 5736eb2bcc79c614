"""Epochs of gradient descent: batches and updates, validation, the best weights so far."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.datasets import AnySamples
from snncore.errors import Diverged
from snncore.events import Checkpoint, Event, Log, Metric, Progress, Split, Stopped
from snncore.networks import AnyNetwork
from snncore.streams import stream
from snncore.training import checkpoints, telling
from snncore.training.batches import Batch, ahead, prepare
from snncore.training.checkpoints import Position, Snapshot
from snncore.training.evaluation import Evaluation, evaluate
from snncore.training.optimiser import (
    clip_gradient,
    learning_rate,
    make_adam,
    optimiser_tensors,
    rate_loss,
    restore_optimiser,
    watch,
)
from snncore.training.receptive_fields import receptive_fields
from snncore.training.result import of_tally
from snncore.training.setting import Setting
from snncore.training.span import Span
from snncore.training.tally import Tally


class Descent:
    """The training of a network by its gradient. `job.training` is `bptt`; `setting` is that of the whole run."""

    def __init__(self, job: spec.JobSpec, setting: Setting, network: AnyNetwork, span: Span) -> None:
        assert isinstance(job.training, spec.BPTT)
        self.job, self.training = job, job.training
        self.setting, self.interruptions = setting, setting.interruptions
        self.network, self.span = network, span
        self.optimiser = make_adam(network, self.training.optimiser)
        self.position = Position(epoch=span.epochs_before + 1, phase=span.phase)
        self.tally = Tally()
        self.best: dict[str, Tensor] = {}
        self.unsaved_best = False
        self.samples_a_second = 0.0

    # -- where the descent stands

    @property
    def step(self) -> int:
        """Optimiser updates of the run that are done."""
        return self._steps_until(self.position.epoch - 1) + self.position.batch

    @property
    def n_trained(self) -> int:
        """Training samples that were presented so far, with those of earlier phases."""
        own_steps = self.step - self.span.steps_before
        return self.position.trained_before + own_steps * self.training.batch_size

    @property
    def done(self) -> bool:
        """Whether no epoch is left, or early stopping wants none."""
        return self.position.epoch > self.span.epochs_before + self.training.epochs or self._stopped_early()

    def _steps_until(self, epoch: int) -> int:
        """Optimiser updates of the run up to the end of an epoch."""
        return self.span.steps_before + (epoch - self.span.epochs_before) * self.job.steps_per_epoch

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a `last` checkpoint of this descent."""
        self.network.load_state_dict(snapshot.network)
        restore_optimiser(self.network, self.optimiser, snapshot.optimiser)
        self.tally = Tally({name: tensor.to(self.setting.device) for name, tensor in snapshot.tally.items()})
        self.best = snapshot.best
        self.unsaved_best = bool(self.best)
        self.position = snapshot.position
        self.interruptions.elapsed_before_s = snapshot.position.elapsed_s

    def weights(self) -> dict[str, Tensor]:
        """A copy of all weights."""
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    # -- epochs

    def epochs(self) -> Iterator[Event]:
        """What is left of them. A run that has to stop ends with `Stopped`, a `last` checkpoint before it."""
        while not self.done:
            yield from self._epoch()
            if self.interruptions.reason is not None:
                yield from self.checkpoint()
                yield Stopped(self.interruptions.reason)
                return

    def _epoch(self) -> Iterator[Event]:
        """What is left of the current epoch: batches, metrics, validation. Returns early when asked to stop."""
        job, position = self.job, self.position
        size = self.training.batch_size
        samples = self.setting.data.train_in(position.epoch)
        order = stream(job.seed, "shuffle", position.epoch).permutation(len(samples))
        batches = range(position.batch, job.steps_per_epoch)
        chosen = (samples[order[batch * size : (batch + 1) * size]] for batch in batches)
        with ahead(self._prepared, zip(batches, chosen, strict=True)) as prepared:
            for ready in prepared:
                if self.interruptions.stopping():
                    return
                yield from self._checkpoint_when_due()
                yield from self._batch(ready)
        validation: Evaluation | None = None
        if self.setting.selects:
            validation = self.evaluate(self.setting.selecting, self._rasters_wanted())
            if validation is None:
                return
        yield from self._close_epoch(validation)

    def _prepared(self, which: tuple[int, AnySamples]) -> Batch:
        """A batch of the current epoch, encoded."""
        (batch, samples), epoch, setting = which, self.position.epoch, self.setting
        return prepare(self.job, samples, "train", batch, epoch, dtype=setting.dtype, device=setting.device)

    def _batch(self, ready: Batch) -> Iterator[Event]:
        """One optimiser update."""
        job, training, prefix = self.job, self.training, self.span.prefix
        began = time.monotonic()
        epoch = self.position.epoch
        shown = self.network(ready.inputs, self._draws)
        judgement = self.setting.task.judge(shown.reading, ready.x, ready.y)
        loss = judgement.loss
        if training.rate_regulariser is not None:
            rate_term = rate_loss(shown.counts, training.rate_regulariser, job.encoding.n_steps, job.encoding.dt_ms)
            self.tally.add_value("rate_loss", rate_term)
            loss = loss + rate_term
        first, rate = self.step == self.span.steps_before, self._learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradient(self.network, training.gradient_clip_norm)
        self._update(rate)
        self.tally.add(judgement, shown.counts)
        self.tally.add_value("gradient_norm", norm)
        self.position.batch += 1

        if first:
            yield from telling.activity_warnings(job, shown.counts)
            if ready.unseen_events:
                yield Log(
                    "warning",
                    f"{ready.unseen_events:.1%} of the events of the first batch fall outside of "
                    f"encoding.duration_ms = {job.encoding.duration_ms:g} and are not shown",
                )
        if self.step % training.log_every_steps == 0:
            value = float(judgement.loss.detach())
            self._demand_finite(value, "loss")
            yield Metric(f"{prefix}batch_loss", "train", self.step, epoch, value, telling.loss_unit(job), "min")
        yield self._progress(len(ready.x) / max(time.monotonic() - began, 1e-9))

    def _progress(self, samples_a_second: float) -> Progress:
        """Of the whole run, after a batch that went so fast."""
        before = self.samples_a_second
        self.samples_a_second = 0.9 * before + 0.1 * samples_a_second if before else samples_a_second
        steps_left = self._steps_until(self.span.epochs_before + self.training.epochs) - self.step
        return Progress(
            epoch=self.position.epoch,
            epochs=self.span.epochs,
            step=self.step,
            steps=self.span.steps,
            samples_per_s=self.samples_a_second,
            eta_s=(steps_left * self.training.batch_size + self.span.samples_after) / self.samples_a_second,
        )

    def _learning_rate(self, step: int) -> float:
        """Of the update after `step`, in this epoch."""
        own_step, plateaus = step - self.span.steps_before, self.position.plateau.count
        return learning_rate(self.training, own_step, self.job.steps_per_epoch, plateaus)

    def _draws(self, name: str) -> np.random.Generator:
        """The random stream of a layer for the current batch."""
        return stream(self.job.seed, f"layer/{name}", self.position.batch, self.position.epoch)

    def _update(self, rate: float) -> None:
        """The optimiser's step, the rewiring around it where there is any, and what parameters must not leave."""
        if self.network.rewiring is None:
            self.optimiser.step()
        else:
            for name, n in self.network.rewiring.update(self.optimiser.step, rate, self.step).items():
                self.tally.add_value(f"rewired.{name}", torch.tensor(n))
        self.network.constrain()

    def _close_epoch(self, validation: Evaluation | None) -> Iterator[Event]:
        position, training, prefix = self.position, self.training, self.span.prefix
        epoch, step = position.epoch, self.step
        self._demand_finite(self.tally.loss, "loss of the epoch")
        position.train = of_tally(self.tally)
        yield from self.split_series("train", self.tally)
        yield Metric(f"{prefix}learning_rate", "train", step, epoch, self._learning_rate(step - 1))
        for name in ("gradient_norm", "rate_loss"):
            if f"value/{name}" in self.tally.sums:
                yield Metric(f"{prefix}{name}", "train", step, epoch, self.tally.mean_value(name))
        yield from self.trained_series()
        for name in self.network.rewiring.synapses if self.network.rewiring else ():
            yield Metric(f"rewired.{name}", "train", step, epoch, self.tally.total(f"rewired.{name}"))
        if validation is not None:
            selecting = self.setting.selecting
            yield from self.split_series(selecting, validation.tally)
            yield from telling.rasters(self.job, selecting, validation, step=step, epoch=epoch)
            standing = (validation.tally.worth(training.selection), -validation.tally.loss)
            if position.best is None or standing > position.best:
                position.best, position.best_epoch = standing, epoch
                self.best, self.unsaved_best = self.weights(), True
        if isinstance(training.schedule, spec.PlateauDecay):
            watched = self.tally if training.schedule.split == "train" or validation is None else validation.tally
            watch(position.plateau, training.schedule, watched.accuracy)
        every = training.checkpoint_every_epochs
        if every and epoch % every == 0:
            whole = self.setting.job
            data = checkpoints.weights_to_bytes(whole, self.weights(), kind="periodic", epoch=epoch, step=step)
            yield Checkpoint("periodic", epoch, step, data)
        position.epoch, position.batch, self.tally = epoch + 1, 0, Tally()
        yield from receptive_fields(self.job, self.network, epoch, step, last=self.done)
        yield from self._checkpoint_when_due()

    def _stopped_early(self) -> bool:
        """Whether the validation split has not been better for as long as early stopping waits."""
        stopping, position = self.training.early_stopping, self.position
        if stopping is None or position.best_epoch is None or position.batch > 0:
            return False
        return position.epoch - 1 - position.best_epoch >= stopping.patience

    # -- what it tells and leaves

    def split_series(self, split: Split, tally: Tally, epoch: int | None = None) -> Iterator[Metric]:
        """The metrics of a split, now."""
        epoch = epoch or self.position.epoch
        yield from telling.split_series(self.job, split, tally, step=self.step, epoch=epoch, prefix=self.span.prefix)

    def trained_series(self) -> Iterator[Metric]:
        """What is trained, or rewired, beside weights."""
        for name, value in self.network.neuron_parameters().items():
            yield Metric(name, "train", self.step, self.position.epoch, value)
        if self.network.rewiring is not None:
            for name, share in self.network.rewiring.connectivity().items():
                yield Metric(f"connectivity.{name}", "train", self.step, self.position.epoch, share)

    def evaluate(self, split: Split, record: int) -> Evaluation | None:
        """A split through the network as it is; None if the run has to stop."""
        return evaluate(
            self.job,
            self.network,
            self.setting.task,
            getattr(self.setting.data, split),
            split,
            record=record,
            interrupted=self.interruptions.stopping,
        )

    def _rasters_wanted(self) -> int:
        recording = self.job.recording
        if not isinstance(recording, spec.RecordSpikes) or self.setting.selecting == "test":
            return 0  # those of the test split are kept at the end
        return recording.n_samples if self.position.epoch % recording.every_epochs == 0 else 0

    def _checkpoint_when_due(self) -> Iterator[Checkpoint]:
        if self.interruptions.checkpoint_due():
            yield from self.checkpoint()

    def checkpoint(self) -> Iterator[Checkpoint]:
        """`best` first, so that whoever resumes from `last` has it."""
        whole, position, step = self.setting.job, self.position, self.step
        if self.unsaved_best and self.span.keeps_best:
            best_epoch = position.best_epoch or 0
            best_step = self._steps_until(best_epoch)
            data = checkpoints.weights_to_bytes(whole, self.best, kind="best", epoch=best_epoch, step=best_step)
            yield Checkpoint("best", best_epoch, best_step, data)
            self.unsaved_best = False
        position.elapsed_s = self.interruptions.elapsed_s
        snapshot = Snapshot(
            network=self.weights(),
            optimiser=optimiser_tensors(self.network, self.optimiser),
            tally=self.tally.sums,
            best=self.best,
            position=position,
        )
        epoch = min(position.epoch, self.span.epochs_before + self.training.epochs)
        yield Checkpoint("last", epoch, step, checkpoints.snapshot_to_bytes(whole, snapshot, epoch=epoch, step=step))
        self.interruptions.checkpointed()

    def _demand_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"the {what} is {value} at step {self.step}; lower training.optimiser.learning_rate "
                "or set training.gradient_clip_norm"
            )
