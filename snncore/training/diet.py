"""Training an ordinary network, converting it and training on in spikes, as a stream of events (DIET-SNN)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snncore import spec
from snncore.events import Event, Finished, Log, Started, Stopped
from snncore.networks import make_network
from snncore.sequential import SequentialNetwork
from snncore.training import checkpoints
from snncore.training.converting import Converter, spikes_per_neuron
from snncore.training.descent import Descent
from snncore.training.ending import Tested, result, tested
from snncore.training.environment import describe
from snncore.training.interruptions import Interruptions
from snncore.training.receptive_fields import receptive_fields
from snncore.training.result import split_metrics
from snncore.training.setting import Setting
from snncore.training.span import Span

ANN, SPIKING = "ann", "spiking"


class DietRun:
    """The three phases, from the start or from the `last` checkpoint in `resume`.

    A run that stops in the second phase begins it anew: nothing in it is drawn or trained.
    """

    def __init__(self, job: spec.JobSpec, resume: bytes | None, interruptions: Interruptions) -> None:
        assert isinstance(job.training, spec.Diet)
        self.job, self.diet = job, job.training
        self.setting = Setting(job, interruptions, seed_protocol=job.training.seed_protocol)
        snapshot = None if resume is None else checkpoints.snapshot_from_bytes(job, resume)
        self.resumed = snapshot is not None
        in_spikes = snapshot is not None and snapshot.position.phase == SPIKING
        self.descent = self._in_spikes() if in_spikes else self._without_spikes()
        if snapshot is not None:
            self.descent.restore(snapshot)

    # -- the phases

    def _without_spikes(self) -> Descent:
        """The training of the twin."""
        job = spec.ann_twin(self.job)
        to_come = self.diet.epochs * spec.split_sizes(job.dataset)["train"] * self.job.encoding.n_steps
        span = Span(
            epochs=self.diet.ann.epochs + self.diet.epochs,
            steps=self.job.n_training_steps,
            phase=ANN,
            prefix="ann.",
            samples_after=to_come,
            keeps_best=False,
        )
        return Descent(job, self.setting, make_network(job, self.setting.device), span)

    def _in_spikes(self) -> Descent:
        """The training of the network itself."""
        job = spec.spiking_part(self.job)
        span = Span(
            epochs=self.diet.ann.epochs + self.diet.epochs,
            steps=self.job.n_training_steps,
            phase=SPIKING,
            epochs_before=self.diet.ann.epochs,
            steps_before=spec.ann_twin(self.job).n_training_steps,
        )
        return Descent(job, self.setting, make_network(job, self.setting.device), span)

    # -- the run

    def events(self) -> Iterator[Event]:
        environment = describe(self.job, self.setting.device, self.descent.network.engine.name)
        yield Started(environment, self.descent.step if self.resumed else None)
        if not self.resumed:
            for warning in spec.warnings_about(self.job):
                yield Log("warning", warning)
            yield from receptive_fields(self.descent.job, self.descent.network, 0, 0)
        if self.descent.span.phase == ANN:
            yield from self.descent.epochs()
            if self._stopped():
                return
            yield from self._convert()
            if self._stopped():
                return
        yield from self.descent.epochs()
        if not self._stopped() and (found := (yield from tested(self.descent))) is not None:
            yield Finished(result(self.descent, found) | {"conversion": self._conversion(found)})

    def _stopped(self) -> bool:
        """Whether the run has to end where it is."""
        return self.setting.interruptions.reason is not None

    def _convert(self) -> Iterator[Event]:
        """From the trained twin to the network that is trained on; ends with `Stopped` where the run has to stop."""
        ann, spiking = self.descent, self._in_spikes()
        trained = yield from tested(ann)
        if trained is None:
            return
        assert isinstance(ann.network, SequentialNetwork)
        assert isinstance(spiking.network, SequentialNetwork)
        converter = Converter(self.job, self.setting, step=ann.step, epoch=ann.position.epoch - 1)
        converted = yield from converter.convert(ann.network, spiking.network)
        if converted is None:
            assert self.setting.interruptions.reason is not None
            yield Stopped(self.setting.interruptions.reason)
            return
        spiking.position.earlier = {
            "ann": split_metrics(ann.position.train, trained.validation, trained.test),
            "ann_epochs": ann.position.epoch - 1,
            "converted": converted,
            "thresholds": {name: layer.scalars()["v_threshold"] for name, layer in spiking.network.spiking_layers()},
        }
        spiking.position.trained_before = ann.n_trained
        self.descent = spiking
        yield from spiking.trained_series()
        yield from spiking.checkpoint()

    def _conversion(self, found: Tested) -> dict[str, Any]:
        """What came of each phase, for the result."""
        earlier, layers = self.descent.position.earlier, dict(self.descent.network.spiking_layers())
        now = {name: layer.scalars() for name, layer in layers.items()}
        initial = earlier["thresholds"]
        return {
            "ann": earlier["ann"],
            "ann_epochs": earlier["ann_epochs"],
            "converted": earlier["converted"],
            "fine_tuned": split_metrics(self.descent.position.train, found.validation, found.test),
            "thresholds": {
                name: {"initial": initial[name], "final": scalars["v_threshold"]} for name, scalars in now.items()
            },
            "leaks": {name: {"initial": 1.0, "final": scalars["leak"]} for name, scalars in now.items()},
            "spikes_per_neuron": spikes_per_neuron(found.test.tally),
        }
