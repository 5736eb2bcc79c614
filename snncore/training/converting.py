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
        ways: list[tuple[int, float, int | None]] = [(self.job.encoding.n_steps, conversion.scaling_factor, None)]
        if conversion.compared_steps is not None:
            ways.append((conversion.compared_steps, conversion.compared_scaling_factor, conversion.n_compared))
        found = []
        for n_steps, factor, n_samples in ways:
            judged = self._judged(network, n_steps, factor, n_samples)
            if judged is None:
                return None
            found.append(judged)
            yield from self._told(judged)
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

    def _judged(self, network: SequentialNetwork, n_steps: int, factor: float, n_samples: int | None) -> Json | None:
        """The test split, or its first samples, presented for so many steps, with that scaling factor."""
        job = spec.spiking_part(self.job, n_steps)
        longer = make_network(job, self.setting.device)
        assert isinstance(longer, SequentialNetwork)
        longer.load_state_dict(network.state_dict())
        scale_thresholds(longer, factor / self.conversion.scaling_factor)
        test = self.setting.data.test
        samples = test if n_samples is None else test[:n_samples]
        stopping = self.setting.interruptions.stopping
        evaluation = evaluate(job, longer, self.setting.task, samples, "test", interrupted=stopping)
        if evaluation is None:
            return None
        tally = evaluation.tally
        return {
            "steps": n_steps,
            "scaling_factor": factor,
            "n_samples": tally.n_samples,
            "accuracy": tally.accuracy,
            "loss": tally.loss,
            "spikes_per_neuron": spikes_per_neuron(tally),
        }

    def _told(self, judged: Json) -> Iterator[Event]:
        n_steps = judged["steps"]
        series = "converted" if n_steps == self.job.encoding.n_steps else f"converted_{n_steps}_steps"
        yield Metric(f"{series}.loss", "test", self.step, self.epoch, judged["loss"], "", "min")
        yield Metric(f"{series}.accuracy", "test", self.step, self.epoch, judged["accuracy"], "", "max")
        yield Log(
            "info",
            f"converted only, {n_steps} steps: accuracy {judged['accuracy']:.4f} on {judged['n_samples']} test samples",
        )


def spikes_per_neuron(tally: Tally) -> dict[str, float]:
    """Spikes of a neuron during a sample, the mean of each layer."""
    return {layer: tally.spikes_a_neuron(layer) for layer in tally.layers()}
