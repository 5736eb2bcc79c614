"""What whole runs told, and what of it must not depend on interruptions."""

from __future__ import annotations

from typing import Any

from safetensors.torch import load

from snncore.events import Checkpoint, Event, Finished, Metric, Raster, ReceptiveFields


def the(kind: type[Any], events: list[Event]) -> Any:
    """The only event of a kind."""
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


def result_of(events: list[Event]) -> dict[str, Any]:
    """The result of a run that came to its end."""
    result: dict[str, Any] = the(Finished, events).result
    return result


def final(events: list[Event]) -> dict[str, Any]:
    """All but times and memory: the result, the series, the weights of each kind of checkpoint, rasters and fields."""
    result = result_of(events)
    checkpoints = {event.kind: load(event.data) for event in events if isinstance(event, Checkpoint)}
    return {
        "result": {key: value for key, value in result.items() if key not in ("cost", "environment")},
        "spikes": result["cost"]["spikes_per_sample"],
        "series": {(e.name, e.split, e.step): e.value for e in events if isinstance(e, Metric)},
        "weights": {
            (kind, name): tensor.numpy().tobytes()
            for kind, tensors in checkpoints.items()
            for name, tensor in tensors.items()
        },
        "rasters": {(e.epoch, e.split, e.layer, e.sample): e.spikes.tobytes() for e in events if isinstance(e, Raster)},
        "fields": {(e.epoch, e.layer): e.weights.tobytes() for e in events if isinstance(e, ReceptiveFields)},
    }
