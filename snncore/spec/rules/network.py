"""Delays, readouts and embedded networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snncore.spec.architecture import Recurrent
from snncore.spec.errors import Location
from snncore.spec.readout import LeakyReadout, SpikeCountReadout
from snncore.spec.rules.broken import Broken
from snncore.spec.sequential import Sequential, Spiking, placed_parts
from snncore.spec.synapses import ConstantDelay, Delay, UniformDelay

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec


def delays(spec: JobSpec) -> Broken:
    architecture = spec.layered
    delays: dict[Location, ConstantDelay | UniformDelay] = {}
    if isinstance(architecture, Recurrent):
        delays["architecture", "input", "delay"] = architecture.input.delay
        delays["architecture", "recurrence", "delay"] = architecture.recurrence.delay
        yield from _recurrent_delay(("architecture", "recurrence", "delay"), architecture.recurrence.delay)
        if architecture.embedded is not None:
            delays["architecture", "embedded", "connection", "delay"] = architecture.embedded.connection.delay
    elif isinstance(architecture, Sequential):
        for place, layer in placed_parts(architecture):
            if isinstance(layer, Spiking) and layer.recurrence is not None:
                delays[*place, "recurrence", "delay"] = layer.recurrence.delay
                yield from _recurrent_delay((*place, "recurrence", "delay"), layer.recurrence.delay)
    else:
        delays["architecture", "connection", "delay"] = architecture.connection.delay
    for loc, delay in delays.items():
        if isinstance(delay, UniformDelay) and delay.low > delay.high:
            yield (*loc, "high"), f"must not be below low = {delay.low}"
        if 1 <= spec.encoding.n_steps <= delay.longest:
            field = "steps" if isinstance(delay, ConstantDelay) else "high"
            yield (*loc, field), f"must be shorter than the presentation, {spec.encoding.n_steps} steps"


def _recurrent_delay(loc: Location, delay: Delay) -> Broken:
    if delay.shortest < 1:
        yield (
            (*loc, "steps" if isinstance(delay, ConstantDelay) else "low"),
            "a recurrent delay is at least 1 step: a spike cannot arrive in the step that it is fired in",
        )


def readout(spec: JobSpec) -> Broken:
    loc, duration = ("architecture", "readout"), spec.encoding.duration_ms
    match spec.layered.readout:
        case LeakyReadout() as readout:
            if readout.window_ms is not None and readout.reduction != "mean":
                yield (
                    (*loc, "window_ms"),
                    f"has no effect with reduction {readout.reduction!r}; leave it out or take 'mean'",
                )
            if readout.window_ms is not None and readout.window_ms > duration:
                yield (*loc, "window_ms"), f"must not exceed encoding.duration_ms = {duration:g}"
        case SpikeCountReadout() as readout:
            counted_ms = duration / spec.encoding.frames if readout.by_frame else duration
            if readout.warmup_ms > counted_ms - spec.encoding.dt_ms:
                whole = "each frame" if readout.by_frame else "the presentation, encoding.duration_ms"
                yield (*loc, "warmup_ms"), f"must end before {whole} = {counted_ms:g}"
            if readout.recurrent and not isinstance(spec.architecture, Recurrent):
                yield (*loc, "recurrent"), "needs the architecture 'recurrent'"
            if readout.recurrent and readout.weights != SpikeCountReadout(kind="spike_count").weights:
                yield (*loc, "weights"), "has no effect on recurrent outputs; set architecture.recurrence.weights"


def embedded(spec: JobSpec) -> Broken:
    if not isinstance(spec.architecture, Recurrent) or spec.architecture.embedded is None:
        return
    loc, network, readout = (
        ("architecture", "embedded", "network"),
        spec.architecture.embedded.network,
        spec.architecture.readout,
    )
    if not isinstance(readout, SpikeCountReadout) or not readout.recurrent:
        yield (
            ("architecture", "readout"),
            "what is read are the outputs of the embedded network: readout 'spike_count' with recurrent = true",
        )
    elif readout.group_size != network.group_size:
        yield (
            ("architecture", "readout", "group_size"),
            f"must be that of the embedded network, {network.group_size}",
        )
    if network.n_outputs != spec.n_outputs:
        yield (*loc, "n_outputs"), f"the embedded network has {network.n_outputs} outputs, the task {spec.n_outputs}"
    if network.dt_ms != spec.encoding.dt_ms:
        yield (
            ("encoding", "dt_ms"),
            f"must be the {network.dt_ms:g} ms that the embedded network was trained with",
        )
