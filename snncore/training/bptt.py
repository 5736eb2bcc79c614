"""Backpropagation through time as a stream of events."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from snncore import datasets, spec
from snncore.datasets import AnySamples
from snncore.errors import Diverged
from snncore.events import Checkpoint, Event, Finished, Log, Metric, Progress, Raster, Split, Started, Stopped
from snncore.networks import make_network
from snncore.streams import stream
from snncore.tasks import make_task
from snncore.training import checkpoints
from snncore.training.batches import Batch, ahead, prepare
from snncore.training.checkpoints import Position, Snapshot
from snncore.training.environment import choose_device, describe
from snncore.training.evaluation import Evaluation, evaluate
from snncore.training.interruptions import Interruptions
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
from snncore.training.result import confusion_matrix, cost, firing, of_tally, split_metrics
from snncore.training.tally import Tally


class BackpropagationRun:
    """A network that is trained by its gradient, from the start or from the `last` checkpoint in `resume`."""

    def __init__(
        self, job: spec.JobSpec, networks: Mapping[str, bytes], resume: bytes | None, interruptions: Interruptions
    ) -> None:
        self.job = job
        self.interruptions = interruptions
        self.device = choose_device(job.device)
        self.dtype = torch.float32 if job.bptt.precision == "float32" else torch.float64
        self.data = datasets.load(job.dataset, job.seed)
        self.selecting: Split = "test" if job.bptt.seed_protocol else "validation"
        """The split that takes the part of the validation split."""
        self.selects = len(getattr(self.data, self.selecting)) > 0
        self.task = make_task(job)
        self.network = make_network(job, self.device, checkpoints.embedded_network(job, networks))
        self.optimiser = make_adam(self.network, job.bptt.optimiser)
        self.position = Position()
        self.tally = Tally()
        self.best: dict[str, Tensor] = {}
        self.unsaved_best = False
        self.resumed = resume is not None
        if resume is not None:
            self._restore(checkpoints.snapshot_from_bytes(job, resume))
        self.samples_a_second = 0.0

    # -- where the run stands

    @property
    def step(self) -> int:
        """Optimiser updates that are done."""
        return (self.position.epoch - 1) * self.job.steps_per_epoch + self.position.batch

    def _restore(self, snapshot: Snapshot) -> None:
        self.network.load_state_dict(snapshot.network)
        restore_optimiser(self.network, self.optimiser, snapshot.optimiser)
        self.tally = Tally({name: tensor.to(self.device) for name, tensor in snapshot.tally.items()})
        self.best = snapshot.best
        self.unsaved_best = bool(self.best)
        self.position = snapshot.position
        self.interruptions.elapsed_before_s = snapshot.position.elapsed_s

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    # -- the run

    def events(self) -> Iterator[Event]:
        yield Started(describe(self.job, self.device, self.network.engine.name), self.step if self.resumed else None)
        if not self.resumed:
            for warning in spec.warnings_about(self.job):
                yield Log("warning", warning)
            yield from self._connectivity()
            yield from receptive_fields(self.job, self.network, 0, 0)
        epochs = self.job.bptt.epochs
        while self.position.epoch <= epochs and not self._stopped_early():
            yield from self._epoch()
            if self.interruptions.reason is not None:
                yield from self._checkpoint()
                yield Stopped(self.interruptions.reason)
                return
        yield from self._end()

    def _epoch(self) -> Iterator[Event]:
        """What is left of the current epoch: batches, metrics, validation. Returns early when asked to stop."""
        job, position = self.job, self.position
        size = job.bptt.batch_size
        samples = self.data.train_in(position.epoch)
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
        if self.selects:
            validation = self._evaluate(self.selecting, self._rasters_wanted())
            if validation is None:
                return
        yield from self._close_epoch(validation)

    def _prepared(self, which: tuple[int, AnySamples]) -> Batch:
        """A batch of the current epoch, encoded."""
        batch, samples = which
        epoch = self.position.epoch
        return prepare(self.job, samples, "train", batch, epoch, dtype=self.dtype, device=self.device)

    def _batch(self, ready: Batch) -> Iterator[Event]:
        """One optimiser update."""
        job, training = self.job, self.job.bptt
        began = time.monotonic()
        epoch = self.position.epoch
        shown = self.network(ready.inputs, self._draws)
        judgement = self.task.judge(shown.reading, ready.x, ready.y)
        loss = judgement.loss
        if training.rate_regulariser is not None:
            rate_term = rate_loss(shown.counts, training.rate_regulariser, job.encoding.n_steps, job.encoding.dt_ms)
            self.tally.add_value("rate_loss", rate_term)
            loss = loss + rate_term
        rate = learning_rate(training, self.step, job.steps_per_epoch, self.position.plateau.count)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradient(self.network, training.gradient_clip_norm)
        self._update(rate)
        self.tally.add(judgement, shown.counts)
        self.tally.add_value("gradient_norm", norm)
        self.position.batch += 1

        if self.step == 1:
            yield from self._activity_warnings(shown.counts)
            if ready.unseen_events:
                yield Log(
                    "warning",
                    f"{ready.unseen_events:.1%} of the events of the first batch fall outside of "
                    f"encoding.duration_ms = {job.encoding.duration_ms:g} and are not shown",
                )
        if self.step % training.log_every_steps == 0:
            value = float(judgement.loss.detach())
            self._demand_finite(value, "loss")
            yield Metric("batch_loss", "train", self.step, epoch, value, self._loss_unit(), "min")
        seconds = time.monotonic() - began
        now = len(ready.x) / max(seconds, 1e-9)
        self.samples_a_second = 0.9 * self.samples_a_second + 0.1 * now if self.samples_a_second else now
        steps = job.n_training_steps
        done = self.step
        yield Progress(
            epoch=epoch,
            epochs=training.epochs,
            step=done,
            steps=steps,
            samples_per_s=self.samples_a_second,
            eta_s=(steps - done) * training.batch_size / self.samples_a_second,
        )

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
        position, training = self.position, self.job.bptt
        epoch, step = position.epoch, self.step
        self._demand_finite(self.tally.loss, "loss of the epoch")
        position.train = of_tally(self.tally)
        yield from self._split_metrics("train", self.tally)
        yield Metric("learning_rate", "train", step, epoch, self.optimiser.param_groups[0]["lr"])
        for name in ("gradient_norm", "rate_loss"):
            if f"value/{name}" in self.tally.sums:
                yield Metric(name, "train", step, epoch, self.tally.mean_value(name))
        yield from self._connectivity()
        for name in self.network.rewiring.synapses if self.network.rewiring else ():
            yield Metric(f"rewired.{name}", "train", step, epoch, self.tally.total(f"rewired.{name}"))
        if validation is not None:
            yield from self._split_metrics(self.selecting, validation.tally)
            yield from self._rasters(self.selecting, validation)
            standing = (self._chosen_by(validation.tally), -validation.tally.loss)
            if position.best is None or standing > position.best:
                position.best, position.best_epoch = standing, epoch
                self.best, self.unsaved_best = self._weights(), True
        if isinstance(training.schedule, spec.PlateauDecay):
            watched = self.tally if training.schedule.split == "train" or validation is None else validation.tally
            watch(position.plateau, training.schedule, watched.accuracy)
        every = training.checkpoint_every_epochs
        if every and epoch % every == 0:
            data = checkpoints.weights_to_bytes(self.job, self._weights(), kind="periodic", epoch=epoch, step=step)
            yield Checkpoint("periodic", epoch, step, data)
        position.epoch, position.batch, self.tally = epoch + 1, 0, Tally()
        ended = epoch == training.epochs or self._stopped_early()
        yield from receptive_fields(self.job, self.network, epoch, step, last=ended)
        yield from self._checkpoint_when_due()

    def _chosen_by(self, tally: Tally) -> float:
        """What the best weights are the best by: more is better."""
        match self.job.bptt.selection:
            case "accuracy":
                return tally.accuracy
            case "loss":
                return -tally.loss
            case "true_label_probability":
                assert tally.true_label_probability is not None  # by the rules of the spec
                return tally.true_label_probability

    def _stopped_early(self) -> bool:
        """Whether the validation split has not been better for as long as early stopping waits."""
        stopping, position = self.job.bptt.early_stopping, self.position
        if stopping is None or position.best_epoch is None or position.batch > 0:
            return False
        return position.epoch - 1 - position.best_epoch >= stopping.patience

    def _end(self) -> Iterator[Event]:
        """Test the chosen weights and sum up."""
        job, step = self.job, self.step
        if not self.best:
            self.best, self.unsaved_best = self._weights(), True
            self.position.best_epoch = self.position.epoch - 1
        yield from self._checkpoint()
        self.network.load_state_dict(self.best if job.bptt.final_weights == "best" else self._weights())
        validation = self._evaluate("validation", 0) if len(self.data.validation) else None
        test = self._evaluate("test", self._rasters_wanted(final=True))
        if test is None or (len(self.data.validation) and validation is None):
            assert self.interruptions.reason is not None
            yield Stopped(self.interruptions.reason)
            return
        last = self.position.epoch - 1
        yield from self._split_metrics("test", test.tally, epoch=last)
        yield from self._rasters("test", test, epoch=last)
        wall_time_s = self.interruptions.elapsed_s
        yield Finished(
            {
                "metrics": split_metrics(self.position.train, validation, test),
                "confusion_matrix": confusion_matrix(job, test),
                "firing": firing(job, test),
                "cost": cost(job, self.network, test, step, wall_time_s),
                "environment": describe(job, self.device, self.network.engine.name),
                "weights": {"kind": job.bptt.final_weights, "epoch": self.position.best_epoch},
                "epochs": last,
                "seed_protocol": job.bptt.seed_protocol,
            }
        )

    # -- pieces of events

    def _split_metrics(self, split: Split, tally: Tally, epoch: int | None = None) -> Iterator[Metric]:
        epoch = epoch or self.position.epoch
        duration = self.job.encoding.duration_ms
        yield Metric("loss", split, self.step, epoch, tally.loss, self._loss_unit(), "min")
        yield Metric("accuracy", split, self.step, epoch, tally.accuracy, "", "max")
        if (probability := tally.true_label_probability) is not None:
            yield Metric("true_label_probability", split, self.step, epoch, probability, "", "max")
        if tally.ceiling is not None:
            yield Metric("ceiling_accuracy", split, self.step, epoch, tally.ceiling, "", "max")
        for layer in tally.layers():
            if layer != "input":
                yield Metric(f"firing_rate_hz.{layer}", split, self.step, epoch, tally.rate_hz(layer, duration), "Hz")

    def _connectivity(self) -> Iterator[Metric]:
        if self.network.rewiring is not None:
            for name, share in self.network.rewiring.connectivity().items():
                yield Metric(f"connectivity.{name}", "train", self.step, self.position.epoch, share)

    def _rasters(self, split: Split, evaluation: Evaluation, epoch: int | None = None) -> Iterator[Raster]:
        for raster in evaluation.rasters:
            yield Raster(
                epoch=epoch or self.position.epoch,
                step=self.step,
                split=split,
                layer=raster.layer,
                sample=raster.sample,
                label=raster.label,
                prediction=raster.prediction,
                dt_ms=self.job.encoding.dt_ms,
                spikes=raster.spikes,
                reading=raster.reading,
            )

    def _activity_warnings(self, counts: dict[str, Tensor]) -> Iterator[Log]:
        """A network that starts silent, or saturated, trains to nothing: say so after the first batch."""
        for layer, count in counts.items():
            share = float(count.detach().mean()) / self.job.encoding.n_steps
            hint = "; raise the input (encoding, weights gain) or lower v_threshold"
            if share == 0:
                yield Log("warning", f"layer {layer!r} fired no spike in the first batch and may never learn{hint}")
            elif share > 0.9:
                yield Log(
                    "warning", f"layer {layer!r} fires in {share:.0%} of all steps and hardly carries information"
                )

    def _checkpoint_when_due(self) -> Iterator[Checkpoint]:
        if self.interruptions.checkpoint_due():
            yield from self._checkpoint()

    def _checkpoint(self) -> Iterator[Checkpoint]:
        """`best` first, so that whoever resumes from `last` has it."""
        job, position, step = self.job, self.position, self.step
        if self.unsaved_best:
            best_epoch = position.best_epoch or 0
            best_step = best_epoch * job.steps_per_epoch
            data = checkpoints.weights_to_bytes(job, self.best, kind="best", epoch=best_epoch, step=best_step)
            yield Checkpoint("best", best_epoch, best_step, data)
            self.unsaved_best = False
        position.elapsed_s = self.interruptions.elapsed_s
        snapshot = Snapshot(
            network=self._weights(),
            optimiser=optimiser_tensors(self.network, self.optimiser),
            tally=self.tally.sums,
            best=self.best,
            position=position,
        )
        epoch = min(position.epoch, job.bptt.epochs)
        yield Checkpoint("last", epoch, step, checkpoints.snapshot_to_bytes(job, snapshot, epoch=epoch, step=step))
        self.interruptions.checkpointed()

    def _evaluate(self, split: Split, record: int) -> Evaluation | None:
        return evaluate(
            self.job,
            self.network,
            self.task,
            getattr(self.data, split),
            split,
            record=record,
            interrupted=self.interruptions.stopping,
        )

    def _rasters_wanted(self, *, final: bool = False) -> int:
        recording = self.job.recording
        if not isinstance(recording, spec.RecordSpikes):
            return 0
        if self.selecting == "test" and not final:
            return 0  # those of the test split are kept at the end
        return recording.n_samples if final or self.position.epoch % recording.every_epochs == 0 else 0

    def _loss_unit(self) -> str:
        match self.job.task:
            case spec.Softmax():
                return "Hz^2"
            case spec.KWinners():
                return "Hz"
            case task:
                return "Hz" if task.loss == "borders" else ""

    def _demand_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise Diverged(
                f"the {what} is {value} at step {self.step}; lower training.optimiser.learning_rate "
                "or set training.gradient_clip_norm"
            )
