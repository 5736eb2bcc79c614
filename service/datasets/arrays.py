"""Uploaded arrays: `x` `[n, ...]` and, where samples have classes, `y` `[n]`; `x_test` and `y_test` as they."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.datasets.examined import Examined, classes_of
from service.datasets.faults import collected, fault, unfit
from service.datasets.labels import Labels, class_names, counted
from service.datasets.npz import Header, Npz
from service.problems import FieldProblem
from snncore.spec import ArrayContents

KNOWN = ("x", "y", "x_test", "y_test", "classes")
MOST_SAMPLES = 2**31 - 1
LONGEST_SIDE = 65_536
CHANNELS = (1, 2, 3, 4)
SHAPES = "[n, features], [n, height, width] or [n, height, width, channels]"


def examine(npz: Npz, sha256: str) -> Examined:
    """What an NPZ file of arrays holds. Raises 422 with what is wrong with it."""
    headers = npz.headers
    with collected() as faults:
        faults += _unknown(headers)
        if "x" not in headers:
            faults.append(fault("x", f"is missing; save the samples as x {SHAPES}", "missing"))
        faults += [
            found for name in ("x", "x_test") if name in headers for found in _wrong_samples(name, headers[name])
        ]
        if "y_test" in headers and "x_test" not in headers:
            faults.append(fault("x_test", "is missing, and y_test is there; save both", "missing"))
        if "x_test" in headers and ("y" in headers) != ("y_test" in headers):
            faults.append(fault("y_test", "has to be there if y is, and only then"))
    with collected() as faults:
        if "x_test" in headers and _kind(headers["x_test"]) != _kind(headers["x"]):
            faults.append(
                fault("x_test", f"is {headers['x_test']}; its samples must be like those of x, {headers['x']}")
            )
        for name, samples in (("y", "x"), ("y_test", "x_test")):
            if name in headers and headers[name].shape != headers[samples].shape[:1]:
                n = headers[samples].shape[0]
                faults.append(
                    fault(name, f"is {headers[name]}; a class for each of the {n} samples of {samples} is [{n}]")
                )
    parts: list[str] = [name for name in ("x", "x_test") if name in headers]
    n = sum(headers[name].shape[0] for name in parts)
    if not 2 <= n <= MOST_SAMPLES:
        raise unfit("x", f"holds {n} samples; at least 2 are needed, and no more than {MOST_SAMPLES}")
    reach = _reach(npz, parts)
    labels = _labels(npz) if "y" in headers else None
    contents = ArrayContents(
        format="arrays",
        sha256=sha256,
        n_samples=n,
        n_test=headers["x_test"].shape[0] if "x_test" in headers else 0,
        shape=list(headers["x"].shape[1:]),
        values=_values(headers["x"]),
        low=reach.low,
        high=reach.high,
        n_classes=None if labels is None else len(labels.counts),
    )
    return Examined(contents, None if labels is None else classes_of(labels))


def _unknown(headers: dict[str, Header]) -> list[FieldProblem]:
    return [
        fault(name, f"is not an array of a dataset; there may be {', '.join(KNOWN)}", "unknown_array")
        for name in headers
        if name not in KNOWN
    ]


def _wrong_samples(name: str, header: Header) -> list[FieldProblem]:
    faults = []
    if header.dtype.kind != "f" and header.dtype != np.uint8:
        faults.append(
            fault(name, f"has the type {header.dtype}; take float32, or uint8, which counts in steps of 1/255")
        )
    elif header.dtype.itemsize > 8:
        faults.append(fault(name, f"has the type {header.dtype}; take float32"))
    if len(header.shape) not in (2, 3, 4):
        faults.append(fault(name, f"is {header}; samples are {SHAPES}"))
    elif len(header.shape) == 4 and header.shape[-1] not in CHANNELS:
        faults.append(fault(name, f"is {header}; images are [n, height, width, channels] with 1 to 4 channels"))
    elif not all(1 <= side <= LONGEST_SIDE for side in header.shape[1:]):
        faults.append(fault(name, f"is {header}; each side of a sample must be 1 to {LONGEST_SIDE} long"))
    elif header.shape[0] < 1:
        faults.append(fault(name, "holds no samples"))
    return faults


def _kind(header: Header) -> tuple[Any, ...]:
    return (_values(header), *header.shape[1:])


def _values(header: Header) -> Any:
    return "uint8" if header.dtype == np.uint8 else "float"


@dataclass(frozen=True, slots=True)
class _Reach:
    low: float
    high: float


def _reach(npz: Npz, names: list[str]) -> _Reach:
    """The smallest and the largest number of all samples, which have to be finite as float32."""
    low, high = np.inf, -np.inf
    for name in names:
        position = 0
        for block in npz.blocks(name):
            with np.errstate(over="ignore"):
                numbers = block.astype(np.float32)
            wrong = np.flatnonzero(~np.isfinite(numbers))
            if len(wrong):
                place = _place(position + int(wrong[0]), npz.headers[name])
                msg = f"holds {block[wrong[0]]} at [{place}]; the numbers must be finite, and float32 must hold them"
                raise unfit(name, msg, "not_finite")
            low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
            position += len(block)
    scale = 1 / 255 if _values(npz.headers[names[0]]) == "uint8" else 1.0
    return _Reach(low * scale, high * scale)


def _place(position: int, header: Header) -> str:
    order = "F" if header.fortran_order else "C"
    return ", ".join(str(int(step)) for step in np.unravel_index(position, header.shape, order))  # type: ignore[call-overload]


def _labels(npz: Npz) -> Labels:
    names = class_names(npz)
    parts = [counted(npz, name) for name in ("y", "y_test") if name in npz.headers]
    return Labels.of(parts, names)
