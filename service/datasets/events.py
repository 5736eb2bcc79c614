"""Uploaded events: `times_ms` and `addresses` `[E]`, `starts` `[n + 1]` of the samples, `y` `[n]`, `n_addresses`."""

from __future__ import annotations

import numpy as np

from service.datasets.examined import Examined, classes_of
from service.datasets.faults import collected, fault, unfit
from service.datasets.labels import Labels, class_names, counted
from service.datasets.npz import Header, Npz
from snncore.spec import EventContents

NEEDED = ("times_ms", "addresses", "starts", "y", "n_addresses")
MOST_ADDRESSES = 65_536
MOST_EVENTS = 2**31 - 1


def examine(npz: Npz, sha256: str) -> Examined:
    """What an NPZ file of events holds. Raises 422 with what is wrong with it."""
    headers = npz.headers
    with collected() as faults:
        for name in headers:
            if name not in (*NEEDED, "classes"):
                known = ", ".join((*NEEDED, "classes"))
                faults.append(fault(name, f"is not an array of events; there may be {known}", "unknown_array"))
        for name in NEEDED:
            if name not in headers:
                faults.append(fault(name, "is missing; events are " + ", ".join(NEEDED), "missing"))
    with collected() as faults:
        for name, kinds, n_dimensions, wanted in (
            ("times_ms", "f", 1, "floats [E]"),
            ("addresses", "iu", 1, "integers [E]"),
            ("starts", "iu", 1, "integers [n + 1]"),
            ("n_addresses", "iu", 0, "one integer"),
        ):
            if not _is(headers[name], kinds, n_dimensions):
                faults.append(fault(name, f"is {headers[name]}; it has to be {wanted}"))
    n_events, n = headers["times_ms"].size, headers["starts"].size - 1
    with collected() as faults:
        if headers["addresses"].size != n_events:
            faults.append(fault("addresses", f"is {headers['addresses']}; an address for each time is [{n_events}]"))
        if not n >= 2:
            faults.append(fault("starts", f"is {headers['starts']}; it has n + 1 numbers, for 2 samples at least"))
        elif headers["y"].shape != (n,):
            faults.append(fault("y", f"is {headers['y']}; a class for each of the {n} samples of starts is [{n}]"))
        if n_events > MOST_EVENTS:
            faults.append(fault("times_ms", f"holds {n_events} events, more than {MOST_EVENTS}"))
    n_addresses = int(npz.whole("n_addresses")[0])
    if not 1 <= n_addresses <= MOST_ADDRESSES:
        raise unfit("n_addresses", f"is {n_addresses}; it has to be 1 to {MOST_ADDRESSES}")
    _demand_order(npz, n_events)
    _demand_addresses(npz, n_addresses)
    duration_ms = _duration(npz)
    labels = Labels.of([counted(npz, "y")], class_names(npz))
    contents = EventContents(
        format="events",
        sha256=sha256,
        n_samples=n,
        n_addresses=n_addresses,
        duration_ms=duration_ms,
        n_classes=len(labels.counts),
    )
    return Examined(contents, classes_of(labels))


def _is(header: Header, kinds: str, n_dimensions: int) -> bool:
    return header.dtype.kind in kinds and header.dtype.itemsize <= 8 and len(header.shape) == n_dimensions


def _demand_order(npz: Npz, n_events: int) -> None:
    """The starts of the samples go from 0 to the number of events, and never back."""
    last, position = 0, 0
    for block in npz.blocks("starts"):
        places = np.concatenate([[last], block.astype(np.int64)])
        if position == 0 and places[1] != 0:
            raise unfit("starts", f"begins with {places[1]}; the first sample starts at event 0")
        if len(back := np.flatnonzero(np.diff(places) < 0)):
            raise unfit("starts", f"goes back at [{position + int(back[0])}]; samples come one after the other")
        last, position = int(places[-1]), position + len(block)
    if last != n_events:
        raise unfit("starts", f"ends with {last}; the last sample ends with the last of the {n_events} events")


def _demand_addresses(npz: Npz, n_addresses: int) -> None:
    position = 0
    for block in npz.blocks("addresses"):
        if len(wrong := np.flatnonzero((block < 0) | (block >= n_addresses))):
            place = position + int(wrong[0])
            raise unfit("addresses", f"holds {block[wrong[0]]} at [{place}]; addresses are 0 to {n_addresses - 1}")
        position += len(block)


def _duration(npz: Npz) -> float:
    """When the last event comes."""
    latest, position = 0.0, 0
    for block in npz.blocks("times_ms"):
        with np.errstate(over="ignore"):
            times = block.astype(np.float32)
        if len(wrong := np.flatnonzero(~(np.isfinite(times) & (times >= 0)))):
            place = position + int(wrong[0])
            raise unfit("times_ms", f"holds {block[wrong[0]]} at [{place}]; times are finite, and 0 at least")
        latest, position = max(latest, float(times.max())), position + len(block)
    return latest
