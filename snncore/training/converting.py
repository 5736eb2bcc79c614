"""The second phase of the training 'diet': thresholds from samples, and what the converted network is worth."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from snncore import spec
from snncore.conversion import scale_thresholds, set_thresholds, take_weights
from snncore.engines import Input
from snncore.events import Event, Log, Metric
from snncore.networks import make_network
from snncore.sequential import SequentialNetwork
from snncore.streams import stream
from snncore.training.batches import prepare
from snncore.training.evaluation import evaluate
from snncore.training.setting import Setting
from snncore.training.tally import Tally

Json = dict[str, Any]


class Converter:
    """Makes the spiking network of a trained twin. `job` is the whole one; `step` and `epoch` are when it happens."""

    def __init__(self, job: spec.JobSpec, setting: Setting, *, step: int, epoch: int) -> None:
        assert isinstance(job.training, spec.Diet)
        self.job, self.conversion, self.setting = job, job.training.conversion, setting
        self.step, self.epoch = step, epoch

    def convert(self, twin: SequentialNetwork, network: SequentialNetwork) -> Generator[Event, None, list[Json] | None]:
        """Give `network` weights, leaks and thresholds: what it comes to at each number of steps; None where the run
        has to stop."""
        conversion = self.conversion
        take_weights(network, twin)
        thresholds = set_thresholds(
            network,
            self._presented,
            conversion.n_samples,
            percentile=conversion.percentile,
            interrupted=self.setting.interruptions.stopping,
        )
        if thresholds is None:
            return None
        scale_thresholds(network, conversion.scaling_factor)
        own = spec.Comparison(steps=self.job.encoding.n_steps, scaling_factor=conversion.scaling_factor)
        found = []
        for form in (own, *conversion.compared):
            judged = self._judged(network, form)
            if judged is None:
                return None
            found.append(judged)
            series = "converted" if form is own else f"converted_{form.steps}_steps_{form.scaling_factor:g}"
            yield from self._told(judged, series)
        return found

    def _presented(self) -> Iterator[Input]:
        """The samples for the thresholds, in batches that take the memory of one of the training."""
        n_samples = self.conversion.n_samples
        job = spec.spiking_part(self.job, self.conversion.steps)
        samples = self.setting.data.train_in(1)
        chosen = samples[stream(self.job.seed, "convert").permutation(len(samples))[:n_samples]]
        size = job.training.batch_size
        for batch, start in enumerate(range(0, n_samples, size)):
            part = chosen[start : start + size]
            yield prepare(job, part, "convert", batch, dtype=self.setting.dtype, device=self.setting.device).inputs

    def _judged(self, network: SequentialNetwork, form: spec.Comparison) -> Json | None:
        """The test split, or its first samples, presented for so many steps, with that scaling factor."""
        job = spec.spiking_part(self.job, form.steps)
        longer = make_network(job, self.setting.device)
        assert isinstance(longer, SequentialNetwork)
        longer.load_state_dict(network.state_dict())
        scale_thresholds(longer, form.scaling_factor / self.conversion.scaling_factor)
        test = self.setting.data.test
        samples = test if form.n_samples is None else test[: form.n_samples]
        stopping = self.setting.interruptions.stopping
        evaluation = evaluate(job, longer, self.setting.task, samples, "test", interrupted=stopping)
        if evaluation is None:
            return None
        tally = evaluation.tally
        return {
            "steps": form.steps,
            "scaling_factor": form.scaling_factor,
            "n_samples": tally.n_samples,
            "accuracy": tally.accuracy,
            "loss": tally.loss,
            "spikes_per_neuron": spikes_per_neuron(tally),
        }

    def _told(self, judged: Json, series: str) -> Iterator[Event]:
        yield Metric(f"{series}.loss", "test", self.step, self.epoch, judged["loss"], "", "min")
        yield Metric(f"{series}.accuracy", "test", self.step, self.epoch, judged["accuracy"], "", "max")
        yield Log(
            "info",
            f"converted only, {judged['steps']} steps, scaling factor {judged['scaling_factor']:g}: accuracy "
            f"{judged['accuracy']:.4f} on {judged['n_samples']} test samples",
        )


def spikes_per_neuron(tally: Tally) -> dict[str, float]:
    """Spikes of a neuron during a sample, the mean of each layer."""
    return {layer: tally.spikes_a_neuron(layer) for layer in tally.layers()}
