"""Backpropagation through time as a stream of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snncore import spec
from snncore.events import Event, Finished, Log, Started
from snncore.networks import make_network
from snncore.training import checkpoints
from snncore.training.descent import Descent
from snncore.training.ending import result, tested
from snncore.training.environment import describe
from snncore.training.interruptions import Interruptions
from snncore.training.receptive_fields import receptive_fields
from snncore.training.setting import Setting
from snncore.training.span import Span


class BackpropagationRun:
    """A network that is trained by its gradient, from the start or from the `last` checkpoint in `resume`."""

    def __init__(
        self, job: spec.JobSpec, networks: Mapping[str, bytes], resume: bytes | None, interruptions: Interruptions
    ) -> None:
        assert isinstance(job.training, spec.BPTT)
        self.job, self.training = job, job.training
        self.setting = Setting(job, interruptions, seed_protocol=job.training.seed_protocol)
        network = make_network(job, self.setting.device, checkpoints.embedded_network(job, networks))
        span = Span(epochs=job.training.epochs, steps=job.n_training_steps)
        self.descent = Descent(job, self.setting, network, span)
        self.resumed = resume is not None
        if resume is not None:
            self.descent.restore(checkpoints.snapshot_from_bytes(job, resume))

    def events(self) -> Iterator[Event]:
        descent = self.descent
        environment = describe(self.job, self.setting.device, descent.network.engine.name)
        yield Started(environment, descent.step if self.resumed else None)
        if not self.resumed:
            for warning in spec.warnings_about(self.job):
                yield Log("warning", warning)
            yield from descent.trained_series()
            yield from receptive_fields(self.job, descent.network, 0, 0)
        yield from descent.epochs()
        if self.setting.interruptions.reason is None and (found := (yield from tested(descent))) is not None:
            yield Finished(result(descent, found))
